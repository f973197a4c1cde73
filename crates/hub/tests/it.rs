//! The hub's rules, on both databases.

mod it {
    mod repo;
    mod scheduler;
    mod world;
}
