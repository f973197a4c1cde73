//! Koji's plugin `tag2distrepo`: a tag that asks for it gets a dist repository at each change of its builds.

use toji_value::{Args, Fault, Map, Value, map};

use super::nested;
use crate::Call;
use crate::repo::dist;

/// Submits the dist repository of a tag, if the tag's extra values ask for one.
pub(super) async fn schedule(call: &mut Call, args: &Map) -> Result<(), Fault> {
    let tag = args.value("tag");
    let extra = |name: &str| tag.get("extra").get(&format!("tag2distrepo.{name}")).clone();
    if !extra("enabled").truthy() {
        return Ok(());
    }
    let name = tag.get("name").display();
    let arches: Vec<Value> = tag
        .get("arches")
        .as_str()
        .unwrap_or_default()
        .split_whitespace()
        .map(Value::from)
        .collect();
    if arches.is_empty() {
        let text = format!("Tag {name} has no arches configured but tag2distrepo is enabled");
        return Err(Fault::generic(text));
    }
    let keys: Vec<String> =
        extra("keys").as_str().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    if !keys.is_empty() {
        write_signed(call, tag.get("id"), extra("latest").truthy(), &keys).await?;
    }
    let or_false = |value: Value| if value.is_nil() { Value::Bool(false) } else { value };
    let options = map! {
        "arch" => arches, "comp" => Value::Nil, "delta" => Vec::<Value>::new(),
        "event" => Value::Nil, "inherit" => or_false(extra("inherit")),
        "latest" => or_false(extra("latest")), "multilib" => false,
        "split_debuginfo" => or_false(extra("split_debuginfo")),
        "skip_missing_signatures" => false, "allow_missing_signatures" => keys.is_empty(),
    };
    let keys = Value::Array(keys.into_iter().map(Value::from).collect());
    // Who may tag may have the tag's repository made: no further permission is asked for.
    dist::request(call, &Value::from(name), &keys, options).await.map(drop)
}

/// Writes the signed copies of the tag's RPMs that do not exist yet.
async fn write_signed(
    call: &mut Call,
    tag: &Value,
    latest: bool,
    keys: &[String],
) -> Result<(), Fault> {
    let keywords = map! { "latest" => latest, "rpmsigs" => true };
    let args = Args { positional: vec![tag.clone()], keywords };
    let found = nested(call, "listTaggedRPMS", args).await?;
    let rpms = found.as_array().and_then(|pair| pair.first()).and_then(Value::as_array);
    for rpm in rpms.unwrap_or_default() {
        let key = rpm.get("sigkey");
        if key.as_str().is_some_and(|key| keys.iter().any(|wanted| wanted == key)) {
            let positional = vec![rpm.get("id").clone(), key.clone()];
            nested(call, "writeSignedRPM", Args { positional, keywords: Map::new() }).await?;
        }
    }
    Ok(())
}
