//! Repositories in directories, against createrepo_c, mergerepo_c and broken input.
