//! Positional and keyword arguments of a call, and their binding to declared parameters.
//!
//! Koji's clients send keyword arguments as a last positional struct with a true member
//! `__starstar` (`koji.decode_args`).

use crate::{Fault, Map, Value};

/// One declared parameter, as `_listapi` shows it.
#[derive(Clone, Debug)]
pub struct Param {
    /// The name on the wire.
    pub name: &'static str,
    /// The default; none for a parameter that must be given.
    pub default: Option<Default>,
    /// How it takes arguments.
    pub kind: ParamKind,
}

/// A default value that fits in a constant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Default {
    /// `None`.
    Nil,
    /// A truth value.
    Bool(bool),
    /// A number.
    Int(i64),
    /// Text.
    Str(&'static str),
}

impl Default {
    /// The default as a value.
    pub fn value(&self) -> Value {
        match self {
            Default::Nil => Value::Nil,
            Default::Bool(b) => Value::Bool(*b),
            Default::Int(i) => Value::Int(*i),
            Default::Str(s) => Value::Str((*s).to_owned()),
        }
    }
}

/// How a parameter takes arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamKind {
    /// By position or by name.
    Plain,
    /// All further positional arguments (`*args`).
    Rest,
    /// All further keyword arguments (`**kwargs`).
    Keywords,
    /// By name only: younger than the calls that clients see listed.
    Named,
}

/// The arguments of one call.
#[derive(Clone, Debug, std::default::Default, PartialEq)]
pub struct Args {
    /// By position.
    pub positional: Vec<Value>,
    /// By name.
    pub keywords: Map,
}

impl Args {
    /// Splits the keyword struct from the parameters of a request.
    pub fn decode(mut params: Vec<Value>) -> Args {
        let marked = matches!(params.last(), Some(Value::Struct(m)) if m.truthy("__starstar"));
        let keywords = match marked.then(|| params.pop()).flatten() {
            Some(Value::Struct(mut map)) => {
                map.remove("__starstar");
                map
            }
            _ => Map::new(),
        };
        Args { positional: params, keywords }
    }

    /// The opposite of [`Args::decode`]: what goes into a request.
    pub fn encode(self) -> Vec<Value> {
        let mut params = self.positional;
        if !self.keywords.is_empty() {
            let mut map = self.keywords;
            map.insert("__starstar", true);
            params.push(Value::Struct(map));
        }
        params
    }

    /// Arguments that all come by name, as from doors that have no positions.
    ///
    /// What `*args` collects comes as a list under that name; the parameters before it then go to their positions,
    /// as Python's callers must do it.
    pub fn named(mut members: Map, signature: &Signature) -> Args {
        let rest = signature.params.iter().position(|p| p.kind == ParamKind::Rest);
        let Some(at) = rest else { return Args { positional: Vec::new(), keywords: members } };
        let name = signature.params[at].name;
        let Some(Value::Array(items)) = members.get(name) else {
            return Args { positional: Vec::new(), keywords: members };
        };
        let items = items.clone();
        let mut positional = Vec::new();
        for param in &signature.params[..at] {
            match members.get(param.name).cloned().or(param.default.as_ref().map(Default::value)) {
                Some(value) => positional.push(value),
                // Without it there is no position for what follows; the binding says what is missing.
                None => return Args { positional: Vec::new(), keywords: members },
            }
        }
        let taken = signature.params[..=at].iter().map(|p| p.name);
        taken.for_each(|name| drop(members.remove(name)));
        positional.extend(items);
        Args { positional, keywords: members }
    }

    /// Puts the arguments in the order of the signature, with defaults filled in.
    ///
    /// The result has one value for each parameter; `*args` becomes a list, `**kwargs` a struct.
    ///
    /// # Errors
    /// A `ParameterError` fault with the wording of Python's call errors, which Koji's users know.
    pub fn bind(self, signature: &Signature) -> Result<Vec<Value>, Fault> {
        let params = signature.params;
        let plain = || params.iter().filter(|p| p.kind == ParamKind::Plain);
        let has = |kind| params.iter().any(|p| p.kind == kind);
        let named = |key: &str| params.iter().any(|p| p.kind == ParamKind::Named && p.name == key);
        let given = self.positional.len();
        let mut keywords = self.keywords;
        let fail = |text: String| Err(Fault::parameter(format!("{}() {text}", signature.python)));
        for key in keywords.keys() {
            match plain().position(|p| p.name == key) {
                Some(at) if at < given => {
                    return fail(format!("got multiple values for argument '{key}'"));
                }
                None if !has(ParamKind::Keywords) && !named(key) => {
                    return fail(format!("got an unexpected keyword argument '{key}'"));
                }
                _ => {}
            }
        }
        if given > plain().count() && !has(ParamKind::Rest) {
            return fail(signature.too_many(given));
        }
        let missing: Vec<&str> = plain()
            .skip(given)
            .filter(|p| p.default.is_none() && !keywords.contains_key(p.name))
            .map(|p| p.name)
            .collect();
        if !missing.is_empty() {
            return fail(missing_text(&missing));
        }
        let mut positional = self.positional.into_iter();
        let mut bound = Vec::with_capacity(params.len());
        for param in params {
            bound.push(match param.kind {
                ParamKind::Rest => Value::Array(positional.by_ref().collect()),
                ParamKind::Keywords => Value::Struct(std::mem::take(&mut keywords)),
                ParamKind::Plain => positional
                    .next()
                    .or_else(|| keywords.remove(param.name))
                    .or_else(|| param.default.as_ref().map(Default::value))
                    .unwrap_or_default(),
                ParamKind::Named => keywords
                    .remove(param.name)
                    .or_else(|| param.default.as_ref().map(Default::value))
                    .unwrap_or_default(),
            });
        }
        Ok(bound)
    }
}

/// What a call takes, with the name that Python's error texts would use for it.
#[derive(Clone, Copy, Debug)]
pub struct Signature {
    /// The name on the wire.
    pub name: &'static str,
    /// The qualified name that Koji's error texts show: `RootExports.echo`, `get_build`.
    pub python: &'static str,
    /// The parameters in positional order; `**kwargs` comes last.
    pub params: &'static [Param],
}

impl Signature {
    /// Python counts the bound object of a method as an argument.
    fn receiver(&self) -> usize {
        usize::from(self.python.contains('.'))
    }

    fn too_many(&self, given: usize) -> String {
        let plain = self.params.iter().filter(|p| p.kind == ParamKind::Plain);
        let most = plain.clone().count() + self.receiver();
        let least = plain.filter(|p| p.default.is_none()).count() + self.receiver();
        let given = given + self.receiver();
        // Python's plural: a range always has it.
        let (takes, plural) = if least != most {
            (format!("takes from {least} to {most}"), "s")
        } else {
            (format!("takes {most}"), if most == 1 { "" } else { "s" })
        };
        let were = if given == 1 { "was" } else { "were" };
        format!("{takes} positional argument{plural} but {given} {were} given")
    }
}

fn missing_text(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|n| format!("'{n}'")).collect();
    let list = match quoted.as_slice() {
        [one] => one.clone(),
        [a, b] => format!("{a} and {b}"),
        [head @ .., last] => format!("{}, and {last}", head.join(", ")),
        [] => String::new(),
    };
    let plural = if names.len() == 1 { "" } else { "s" };
    format!("missing {} required positional argument{plural}: {list}", names.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{list, map};

    const PLAIN: ParamKind = ParamKind::Plain;
    const TWO: &[Param] = &[
        Param { name: "a", default: None, kind: PLAIN },
        Param { name: "b", default: Some(Default::Int(2)), kind: PLAIN },
    ];
    const GET: Signature = Signature { name: "getIt", python: "RootExports.getIt", params: TWO };

    fn refusal(args: Args) -> String {
        args.bind(&GET).map_err(|f| f.message).expect_err("should be refused")
    }

    #[test]
    fn keywords_fill_the_gaps() {
        let args = Args::decode(vec![Value::Struct(map! {"a" => 1, "__starstar" => true})]);
        assert_eq!(args.bind(&GET), Ok(vec![Value::Int(1), Value::Int(2)]));
    }

    #[test]
    fn wrong_arguments_are_named_as_python_names_them() {
        let unknown = Args { positional: vec![Value::Int(1)], keywords: map! {"c" => 3} };
        assert_eq!(refusal(unknown), "RootExports.getIt() got an unexpected keyword argument 'c'");
        assert_eq!(
            refusal(Args::default()),
            "RootExports.getIt() missing 1 required positional argument: 'a'"
        );
        assert_eq!(
            refusal(Args { positional: vec![Value::Nil; 3], ..Args::default() }),
            "RootExports.getIt() takes from 2 to 3 positional arguments but 4 were given"
        );
        let twice = Args { positional: vec![Value::Nil], keywords: map! {"a" => 3} };
        assert_eq!(refusal(twice), "RootExports.getIt() got multiple values for argument 'a'");
    }

    #[test]
    fn names_find_their_positions() {
        let params = &[
            Param { name: "a", default: None, kind: PLAIN },
            Param { name: "args", default: None, kind: ParamKind::Rest },
            Param { name: "kw", default: None, kind: ParamKind::Keywords },
        ];
        let signature = Signature { name: "x", python: "x", params };
        let args = Args::named(map! {"args" => list![2, 3], "b" => 4, "a" => 1}, &signature);
        assert_eq!(args.positional, [Value::Int(1), Value::Int(2), Value::Int(3)]);
        assert_eq!(args.keywords, map! {"b" => 4});
        let lacking = Args::named(map! {"args" => list![2]}, &signature);
        assert!(lacking.bind(&signature).unwrap_err().message.contains("missing 1 required"));
        let plain = Args::named(map! {"b" => 1, "a" => 2}, &GET);
        assert_eq!(plain.bind(&GET), Ok(vec![Value::Int(2), Value::Int(1)]));
    }

    #[test]
    fn rest_and_keywords_collect() {
        let params = &[
            Param { name: "args", default: None, kind: ParamKind::Rest },
            Param { name: "kw", default: None, kind: ParamKind::Keywords },
        ];
        let signature = Signature { name: "x", python: "x", params };
        let args = Args { positional: vec![Value::Int(1)], keywords: map! {"x" => 2} };
        assert_eq!(args.bind(&signature), Ok(vec![list![1], Value::Struct(map! {"x" => 2})]));
    }
}
