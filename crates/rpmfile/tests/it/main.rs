//! Package reading against RPM itself, real signatures and hostile input.

mod compare;
mod fields;
mod hostile;
mod reading;
mod signing;
mod support;
