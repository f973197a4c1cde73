//! Damaged configuration files, streams and messages: read without a panic and without waste.

/// What the readers take, so that damage reaches deep.
const SEEDS: &[&str] = &[
    "[koji]\nserver = https://%(host)s/kojihub\nhost: hub\n  more\n[DEFAULT]\nweburl=%(server)s\n",
    "TaskStateChange\n{\"attribute\": \"state\", \"old\": \"OPEN\", \"new\": \"CLOSED\", \"info\": {\"id\": 3, \"method\": \"build\", \"request\": [\"git://a/b#c\", {\"name\": \"f43\"}, {\"scratch\": true}], \"start_time\": \"2026-11-22 02:53:08.2+00\"}}",
    "buildsys.tag\n{\"build_id\": 7, \"name\": \"bash\", \"version\": \"5\", \"release\": \"1\", \"tag\": \"f43\", \"user\": \"a\"}",
    ":x\n\nid: 7\nevent: task.state\ndata: {\"key\":\"task:7\",\"body\":{\"id\":7,\"new\":\"OPEN\"}}\n\n",
];

#[test]
fn damaged_input() {
    let mut state = 1u64;
    let mut roll = |sides: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % sides
    };
    for round in 0..4000 {
        let mut data = SEEDS[round % SEEDS.len()].as_bytes().to_vec();
        for _ in 0..1 + roll(6) {
            let at = roll(data.len());
            match roll(4) {
                0 => data[at] = roll(256) as u8,
                1 => data.truncate(at.max(1)),
                2 => data.insert(at, b"%()[]{}\":=\n\r\\,"[roll(14)]),
                _ => {
                    let piece = data[at..(at + roll(40)).min(data.len())].to_vec();
                    data.splice(at..at, piece);
                }
            }
        }
        toji_client::fuzz(&data);
    }
}
