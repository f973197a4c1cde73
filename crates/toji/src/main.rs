//! The program toji.

fn main() {}
