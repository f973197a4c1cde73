//! Group definitions (`comps.xml`) of a tag.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use toji_value::Value;

/// The groups of a tag, as `getTagGroups` answers them, as the text of `comps.xml`.
///
/// The packages of required groups are listed with the group that requires them: installers that
/// do not know requirements between groups then still install everything.
pub fn xml(groups: &Value) -> String {
    let by_name: BTreeMap<&str, &Value> = groups
        .as_array()
        .unwrap_or_default()
        .iter()
        .filter_map(|group| Some((group.get("name").as_str()?, group)))
        .collect();
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE comps PUBLIC \"-//Red Hat, Inc.//DTD Comps info//EN\" \"comps.dtd\">\n<comps>\n",
    );
    for (name, group) in &by_name {
        write_group(&mut out, name, group, &by_name);
    }
    out.push_str("</comps>\n");
    out
}

fn write_group(out: &mut String, name: &str, group: &Value, all: &BTreeMap<&str, &Value>) {
    let text = |key: &str| escape(group.get(key).as_str().unwrap_or_default());
    let flag = |key: &str| group.get(key).truthy();
    out.push_str("  <group>\n");
    element(out, "id", &escape(name));
    element(out, "name", &text("display_name"));
    element(out, "description", &text("description"));
    element(out, "default", &flag("is_default").to_string());
    element(out, "uservisible", &flag("uservisible").to_string());
    if flag("biarchonly") {
        element(out, "biarchonly", "true");
    }
    if group.get("langonly").truthy() {
        element(out, "langonly", &text("langonly"));
    }
    out.push_str("    <packagelist>\n");
    let mut listed = BTreeSet::new();
    let mut seen = BTreeSet::from([name]);
    let mut waiting = vec![group];
    while let Some(group) = waiting.pop() {
        for package in sorted(group.get("packagelist"), "package") {
            let name = package.get("package").as_str().unwrap_or_default();
            if listed.insert(name) {
                write_package(out, name, package);
            }
        }
        for required in sorted(group.get("grouplist"), "name").into_iter().rev() {
            let Some(name) = required.get("name").as_str() else { continue };
            if let Some(group) = all.get(name)
                && seen.insert(name)
            {
                waiting.push(group);
            }
        }
    }
    out.push_str("    </packagelist>\n  </group>\n");
}

fn sorted<'a>(list: &'a Value, key: &str) -> Vec<&'a Value> {
    let mut items: Vec<&Value> = list.as_array().unwrap_or_default().iter().collect();
    items.sort_by_key(|item| item.get(key).as_str().unwrap_or_default());
    items
}

fn write_package(out: &mut String, name: &str, package: &Value) {
    let kind = escape(package.get("type").as_str().unwrap_or("mandatory"));
    let _ = write!(out, "      <packagereq type=\"{kind}\"");
    if package.get("basearchonly").truthy() {
        out.push_str(" basearchonly=\"true\"");
    }
    if let Some(requires) = package.get("requires").as_str().filter(|r| !r.is_empty()) {
        let _ = write!(out, " requires=\"{}\"", escape(requires));
    }
    let _ = writeln!(out, ">{}</packagereq>", escape(name));
}

fn element(out: &mut String, name: &str, text: &str) {
    let _ = writeln!(out, "    <{name}>{text}</{name}>");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use toji_value::{Value, list, map};

    #[test]
    fn required_groups_are_expanded() {
        let package = |name: &str| Value::Struct(map! { "package" => name, "type" => "default" });
        let groups = list![
            map! { "name" => "build", "packagelist" => list![package("make")],
            "grouplist" => list![map! { "name" => "core" }] },
            map! { "name" => "core", "packagelist" => list![package("bash"), package("make")],
            "grouplist" => list![map! { "name" => "build" }] },
        ];
        let xml = super::xml(&groups);
        let build = xml.split("<group>").nth(1).unwrap();
        assert!(build.contains("<id>build</id>"));
        assert_eq!(build.matches("<packagereq").count(), 2, "{build}");
        assert!(build.contains(">bash</packagereq>"));
    }
}
