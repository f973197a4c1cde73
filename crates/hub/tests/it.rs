//! The hub's rules, on both databases.

mod it {
    mod host;
    mod office;
    mod package;
    mod repo;
    mod scheduler;
    mod tag;
    mod user;
    mod world;
}
