//! Options of repositories: what a tag says, and what a request changes.

use toji_policy::glob_match_any;
use toji_value::{Fault, Map, Value, map};

use crate::Config;
use crate::tag::Tag;

/// All options; each is a truth value.
const NAMES: [&str; 4] = ["src", "debuginfo", "separate_src", "maven"];

/// Takes options from a caller: truth values by known names, nil left out.
///
/// # Errors
/// `ParameterError` for anything else.
pub fn parse(opts: &Value) -> Result<Map, Fault> {
    let given = match opts {
        Value::Nil => return Ok(Map::new()),
        Value::Struct(given) => given,
        _ => return Err(Fault::parameter("Repo opts must be a dictionary")),
    };
    if let Some(name) = given.keys().find(|name| !NAMES.contains(name)) {
        return Err(Fault::parameter(format!("Invalid repo option: {name}")));
    }
    Ok(known(given))
}

/// The known options among others.
fn known(given: &Map) -> Map {
    let mut opts = Map::new();
    for name in NAMES {
        if let Some(value) = given.get(name).filter(|v| !v.is_nil()) {
            opts.insert(name, value.truthy());
        }
    }
    opts
}

/// The options of a repository of this tag, and those among them that differ from the tag's own.
///
/// `changes` comes from a request.
///
/// # Errors
/// `ParameterError` for changes that are no options.
pub fn of_tag(config: &Config, tag: &Tag, changes: &Value) -> Result<(Map, Map), Fault> {
    let mut opts = map! {
        "src" => false, "debuginfo" => false, "separate_src" => false, "maven" => false,
    };
    let patterns = [
        ("debuginfo", &config.repo.debuginfo_tags),
        ("src", &config.repo.source_tags),
        ("separate_src", &config.repo.separate_source_tags),
    ];
    for (name, _) in patterns.iter().filter(|(_, tags)| glob_match_any(&tag.name, tags)) {
        opts.insert(*name, true);
    }
    match (tag.extra("repo.opts"), tag.extra("with_debuginfo")) {
        (Some(Value::Struct(own)), _) => opts.extend(known(own)),
        // the older way to say it
        (None, Some(debuginfo)) => {
            opts.insert("debuginfo", debuginfo.truthy());
        }
        _ => {}
    }
    if !config.enable_maven {
        opts.insert("maven", false);
    } else if tag.config.maven_support {
        opts.insert("maven", true);
    }
    let mut custom = Map::new();
    for (name, value) in parse(changes)?.iter() {
        if opts.value(name) != value {
            custom.insert(name.to_owned(), value.clone());
        }
    }
    opts.extend(custom.clone());
    Ok((opts, custom))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(extra: Map, maven_support: bool) -> Tag {
        Tag {
            id: 1,
            name: "t".into(),
            config: toji_db::tag::Config {
                arches: None,
                perm_id: None,
                locked: false,
                maven_support,
                maven_include_all: false,
            },
            perm: None,
            extra: extra.into_iter().map(|(key, value)| (key.into(), Some(value))).collect(),
            query_event: None,
            revoke_event: None,
        }
    }

    #[test]
    fn options_of_a_tag() {
        let mut config = Config::default();
        let none = Value::Nil;
        let (opts, custom) = of_tag(&config, &tag(Map::new(), true), &none).unwrap();
        let plain = map! {
            "src" => false, "debuginfo" => false, "separate_src" => false, "maven" => false,
        };
        assert_eq!((opts, custom), (plain, Map::new()));

        config.enable_maven = true;
        let own =
            map! { "repo.opts" => map! { "src" => 1, "bogus" => true }, "with_debuginfo" => true };
        let changes =
            Value::from(map! { "src" => true, "debuginfo" => true, "maven" => Value::Nil });
        let (opts, custom) = of_tag(&config, &tag(own, true), &changes).unwrap();
        let want = map! {
            "src" => true, "debuginfo" => true, "separate_src" => false, "maven" => true,
        };
        assert_eq!((opts, custom), (want, map! { "debuginfo" => true }));

        config.repo.source_tags = vec!["f*".into(), "t".into()];
        config.repo.separate_source_tags = vec!["f*".into()];
        let (opts, _) = of_tag(&config, &tag(Map::new(), false), &none).unwrap();
        assert!(opts.truthy("src") && !opts.truthy("separate_src"));

        let old = map! { "with_debuginfo" => true };
        let (opts, _) = of_tag(&config, &tag(old, false), &none).unwrap();
        assert!(opts.truthy("debuginfo") && !opts.truthy("maven"));
    }

    #[test]
    fn callers_mistakes() {
        assert_eq!(parse(&Value::from("x")).unwrap_err().message, "Repo opts must be a dictionary");
        let wrong = Value::from(map! { "sources" => true });
        assert_eq!(parse(&wrong).unwrap_err().message, "Invalid repo option: sources");
    }
}
