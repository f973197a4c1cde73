//! Every remote call, declared once: parameters, result, documentation, access and example.
//!
//! XML-RPC, JSON-RPC, HTTP with JSON, gRPC, `_listapi`, the reference and the typed client all come from these declarations. The
//! order of parameters is their positional order and only ever grows at the end.

mod access;
mod declaration;
mod types;

pub mod task_params;

pub use access::Access;
pub use declaration::{Declaration, Rpc};
pub(crate) use declaration::{default, take};
pub use types::{Type, Typed};

macro_rules! areas {
    ($($area:ident),* $(,)?) => {
        $( pub mod $area; )*

        /// Every declared call.
        pub fn declarations() -> impl Iterator<Item = &'static Declaration> {
            let areas: &[&'static [Declaration]] = &[$( $area::DECLARATIONS ),*];
            areas.to_vec().into_iter().flatten()
        }
    };
}

areas! {
    archive, build, builder, buildroot, buildroot_task, catalog, external_repo, generator, group, history, host, host_archive, host_build, host_task, import, notification, package, policy, provenance, repo, repo_host, rpm, scheduler, session, sidetag, signature, signing, solve, submit, system, tag, tagged, tagging, target, task, upload, uploads, user,
}
