//! Object stores, tested against servers of different make, through a network that fails.

mod faults;
mod http;
mod proxy;
mod servers;
mod uploads;
mod volumes;
