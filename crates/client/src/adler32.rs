//! The Adler-32 checksum, by which hubs confirm each piece of an upload.

const MODULUS: u32 = 65_521;
/// The longest run of bytes whose sums cannot overflow.
const RUN: usize = 5_552;

/// A running Adler-32 checksum.
pub(crate) struct Adler32(u32, u32);

impl Adler32 {
    pub(crate) fn new() -> Self {
        Adler32(1, 0)
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        for run in data.chunks(RUN) {
            for byte in run {
                self.0 += u32::from(*byte);
                self.1 += self.0;
            }
            self.0 %= MODULUS;
            self.1 %= MODULUS;
        }
    }

    /// Eight hexadecimal digits, as the hub writes them.
    pub(crate) fn hex(&self) -> String {
        format!("{:08x}", self.1 << 16 | self.0)
    }

    pub(crate) fn of(data: &[u8]) -> String {
        let mut sum = Adler32::new();
        sum.update(data);
        sum.hex()
    }
}

#[cfg(test)]
mod tests {
    use super::Adler32;

    #[test]
    fn known_sums() {
        assert_eq!(Adler32::of(b""), "00000001");
        assert_eq!(Adler32::of(b"Wikipedia"), "11e60398");
        // zlib.adler32(b"\xff" * 100000)
        assert_eq!(Adler32::of(&[0xff; 100_000]), "149a302c");
    }
}
