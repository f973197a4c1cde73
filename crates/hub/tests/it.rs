//! The hub's rules, on both databases.

mod it {
    mod access;
    mod answers;
    mod archive;
    mod archive_host;
    mod build;
    mod builder;
    mod courier;
    mod digest;
    mod dist;
    mod ending;
    mod fixture;
    mod gc;
    mod generator;
    mod held;
    mod host;
    mod liar;
    mod live;
    mod logs;
    mod maven_rpm;
    mod merge;
    mod notice;
    mod office;
    mod owners;
    mod package;
    mod past;
    mod people;
    mod plans;
    mod plugin;
    mod races;
    mod relay;
    mod repo;
    mod scheduler;
    mod session;
    mod sidetag;
    mod signature;
    mod snapshot;
    mod special;
    mod tag;
    mod task;
    mod task_tree;
    mod two_hubs;
    mod user;
    mod volume;
    mod world;
}
