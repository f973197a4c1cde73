//! `winbuild` and `vmExec`: tasks of virtual machines, which hosts with Koji's `kojivmd` do and this builder refuses.

use std::collections::BTreeSet;

use toji_client::{Client, args, task_response};
use toji_value::{Fault, Value, list};

/// The methods of `kojivmd`.
const METHODS: [&str; 2] = ["vmExec", "winbuild"];

/// Whether only a host with virtual machines can do a method.
pub(crate) fn is_for_vm_host(method: &str) -> bool {
    METHODS.contains(&method)
}

/// Leaves an opened task to the other hosts of its channel, or ends it where none is left that could take it.
pub(crate) async fn refuse(
    session: &Client,
    id: i64,
    info: &Value,
) -> Result<(), toji_client::Error> {
    let method = info.get("method").display();
    let channel = info.get("channel_id");
    let asked = args!(; "channelID" => channel.clone(), "enabled" => true);
    let hosts = session.call("listHosts", asked).await?;
    let asked = args!(Value::Array(vec![list!["task_id", id]]));
    let refusals = session.call("scheduler.getTaskRefusals", asked).await?;
    let own = session.call("host.getID", ()).await?.as_int();
    let refused: BTreeSet<i64> = ids(&refusals, "host_id").chain(own).collect();
    if ids(&hosts, "id").any(|host| !refused.contains(&host)) {
        let call = args!(id; "soft" => false, "msg" => format!("{method} needs a VM host"));
        return session.call("host.refuseTask", call).await.map(drop);
    }
    let found = session.call("getChannel", (channel.clone(),)).await?;
    let text = format!(
        "{method} needs a VM host, a builder that runs kojivmd with virtual machines: none is configured in channel {}",
        found.get("name").display()
    );
    let response = task_response(Err(&Fault::build(text)));
    session.call("host.failTask", (id, response)).await.map(drop)
}

fn ids<'v>(list: &'v Value, key: &'v str) -> impl Iterator<Item = i64> + 'v {
    list.as_array().unwrap_or_default().iter().filter_map(move |item| item.get(key).as_int())
}
