//! What can be given as the arguments of a call.

use toji_api::Rpc;
use toji_value::{Args, IntoValue, ParamKind, Value};

/// Arguments: [`Args`] (see [`crate::args!`]), a list of values, a tuple, or nothing.
pub trait IntoArgs {
    /// The arguments by position and name.
    fn into_args(self) -> Args;
}

impl IntoArgs for Args {
    fn into_args(self) -> Args {
        self
    }
}

impl IntoArgs for Vec<Value> {
    fn into_args(self) -> Args {
        Args { positional: self, ..Args::default() }
    }
}

impl IntoArgs for () {
    fn into_args(self) -> Args {
        Args::default()
    }
}

macro_rules! tuples {
    ($($name:ident),+) => {
        impl<$($name: IntoValue),+> IntoArgs for ($($name,)+) {
            fn into_args(self) -> Args {
                #[allow(non_snake_case)]
                let ($($name,)+) = self;
                vec![$($name.into_value()),+].into_args()
            }
        }
    };
}

tuples!(A);
tuples!(A, B);
tuples!(A, B, C);
tuples!(A, B, C, D);
tuples!(A, B, C, D, E);

/// The arguments of a declared call without those at the end that are at their defaults: hubs that are older than a
/// parameter refuse it.
pub(crate) fn needed<R: Rpc>(rpc: R) -> Args {
    let mut args = rpc.into_args();
    let params = R::SIGNATURE.params;
    while let Some((last, place)) = args.positional.last().zip(args.positional.len().checked_sub(1))
    {
        let param = params.get(place).filter(|param| param.kind == ParamKind::Plain);
        let default = param.and_then(|param| param.default.as_ref());
        if default.is_none_or(|default| default.value() != *last) {
            break;
        }
        args.positional.pop();
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;
    use toji_api::build::ListBuilds;
    use toji_api::session::Login;
    use toji_value::Map;

    #[test]
    fn defaults_at_the_end_are_not_sent() {
        assert_eq!(needed(ListBuilds::new()), Args::default());
        let query = ListBuilds { user_id: 3.into(), ..ListBuilds::new() };
        assert_eq!(needed(query).positional, [Value::Nil, Value::Int(3)]);
        let rest = Login { args: vec![Value::Nil], opts: Map::new() };
        assert_eq!(needed(rest).positional, [Value::Nil]);
    }
}
