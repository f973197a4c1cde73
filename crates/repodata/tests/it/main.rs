//! Repository metadata against createrepo_c, dnf and hostile input.

mod createrepo;
mod dnf;
mod hostile;
mod support;
mod writer;
