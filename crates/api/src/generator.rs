//! Content generators: builds that other systems made, reserved and imported with metadata.

use toji_api_macros::rpcs;
use toji_value::{Map, Value};

rpcs! {
    area generator;

    /// Reserves a build for a content generator; returns its number and the token for the import.
    #[access(custom, "users who may act as the content generator")]
    #[python("cg_init_build")]
    write CGInitBuild(cg: Value, data: Map) -> Value;

    /// Gives a reserved build up: it becomes failed, or cancelled.
    #[access(custom, "users who may act as the content generator")]
    #[python("cg_refund_build")]
    write CGRefundBuild(cg: Value, build_id: i64, token: Value, state: Value = 3) -> Value;

    /// Imports a build of a content generator and returns it.
    ///
    /// `metadata` is a struct, its JSON text, or the name of an uploaded file that ends in `.json`;
    /// `directory` is where the files were uploaded, relative to the work directory.
    #[access(custom, "users who may act as the content generator of the metadata")]
    #[python("cg_import")]
    write CGImport(metadata: Value, directory: Value, token: Value = None) -> Value;
}
