//! Uploads that go straight to an object store.

use toji_api::uploads::*;
use toji_value::{Fault, Value};

use crate::Call;
use crate::dispatch::Handle;
use crate::upload::ticket::{self, File};

impl Handle for UploadsBegin {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let UploadsBegin { path, name, size, sha256, volume, overwrite } = self;
        ticket::begin(call, File { path, name, size, overwrite }, sha256, volume).await
    }
}

impl Handle for UploadsFinish {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let UploadsFinish { path, name, ticket, size, sha256, overwrite } = self;
        ticket::finish(call, File { path, name, size, overwrite }, ticket, sha256).await
    }
}
