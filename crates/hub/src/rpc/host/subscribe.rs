//! Which hosts take the tasks of which channels.

use toji_api::host::*;
use toji_db::channel;
use toji_db::lookup::Names;
use toji_value::{Fault, Value};

use super::{existing, tell};
use crate::Call;
use crate::dispatch::Handle;

impl Handle for AddHostToChannel {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let host = existing(call, &self.hostname).await?;
        let name = self.channel_name.display();
        if self.create {
            call.names()?.internal(&self.channel_name)?;
            call.find_or_make(Names::Channels, &self.channel_name).await?;
        }
        let missing = || Fault::generic(format!("channel does not exist: {name}"));
        let row = super::channel::find(call, &self.channel_name).await?.ok_or_else(missing)?;
        if !self.force && !row.get::<bool>("enabled")? {
            return Err(Fault::generic(format!("channel {name} is disabled")));
        }
        let id: i64 = row.get("id")?;
        let own = channel::of_host(&mut call.tx, host.id, None, None).await?;
        if own.iter().any(|row| row.value("id").as_int() == Some(id)) {
            let hostname = self.hostname.display();
            let text = format!("host {hostname} is already subscribed to the {name} channel");
            return Err(Fault::generic(text));
        }
        let actor = call.actor()?;
        channel::add_host(&mut call.tx, host.id, id, actor).await?;
        tell(call, "host.edit", host.id, &host.name);
        Ok(Value::Nil)
    }
}

impl Handle for RemoveHostFromChannel {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let host = existing(call, &self.hostname).await?;
        let name = self.channel_name.display();
        let missing = || Fault::generic(format!("channel does not exist: {name}"));
        let found = call.find(Names::Channels, &self.channel_name).await?;
        let id = found.ok_or_else(missing)?.id;
        let actor = call.actor()?;
        if !channel::remove_host(&mut call.tx, host.id, id, actor).await? {
            let hostname = self.hostname.display();
            let text = format!("host {hostname} is not subscribed to the {name} channel");
            return Err(Fault::generic(text));
        }
        tell(call, "host.edit", host.id, &host.name);
        Ok(Value::Nil)
    }
}
