//! Measures reading and writing of a large answer: 5,000 builds of 30 columns.

use std::time::Instant;

use toji_value::{Map, Value};
use toji_xmlrpc::{Limits, parse_response, write_response};

fn main() -> Result<(), toji_xmlrpc::Error> {
    let row = |i: i64| {
        let pairs = (0..30i64).map(|c| {
            let value = match c % 5 {
                0 => Value::Int(i * c),
                1 => Value::Str(format!("package-{i}-1.{c}-1.fc42 <x & y>")),
                2 => Value::Double(i as f64 + 0.25),
                3 => Value::Nil,
                _ => Value::Bool(i % 2 == 0),
            };
            (format!("column_{c}").into(), value)
        });
        Value::Struct(Map::from_distinct(pairs.collect()))
    };
    let value = Value::Array((0..5_000).map(row).collect());
    let mut out = Vec::new();
    let (mut best_write, mut best_read) = (f64::MAX, f64::MAX);
    for _ in 0..7 {
        out.clear();
        let start = Instant::now();
        write_response(&value, &mut out);
        best_write = best_write.min(start.elapsed().as_secs_f64());
        let start = Instant::now();
        let read = parse_response(&out, &Limits::RESPONSE)?;
        best_read = best_read.min(start.elapsed().as_secs_f64());
        assert_eq!(read, Ok(value.clone()));
    }
    let megabytes = out.len() as f64 / 1e6;
    println!("document {megabytes:.1} MB");
    println!("write {:.1} ms, {:.0} MB/s", best_write * 1e3, megabytes / best_write);
    println!("read {:.1} ms, {:.0} MB/s", best_read * 1e3, megabytes / best_read);
    Ok(())
}
