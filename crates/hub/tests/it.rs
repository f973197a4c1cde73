//! The hub's rules, on both databases.

mod it {
    mod archive;
    mod archive_host;
    mod build;
    mod generator;
    mod host;
    mod notice;
    mod office;
    mod package;
    mod people;
    mod repo;
    mod scheduler;
    mod tag;
    mod task;
    mod two_hubs;
    mod user;
    mod world;
}
