//! What is known of a declared call.

use toji_value::{Args, Fault, FromValue, IntoValue, Signature, Value};

use crate::{Access, Type, Typed};

/// A declared call; `rpcs!` implements it for the request type of each call.
pub trait Rpc: Sized + Send + 'static {
    /// Name and parameters.
    const SIGNATURE: Signature;
    /// The name of the type that implements this.
    const TYPE_NAME: &'static str;
    /// Who may use it.
    const ACCESS: Access;
    /// Whether it changes anything.
    const WRITES: bool;
    /// The documentation, as the hub's users read it.
    const DOC: &'static str;
    /// Arguments of a call that works on the example data, as a JSON list.
    const EXAMPLE: Option<&'static str>;
    /// The types of the parameters, in their order.
    const TYPES: &'static [Type];
    /// What it answers.
    type Output: IntoValue + Typed + Send;

    /// Takes bound arguments, one for each parameter (see [`Args::bind`]).
    ///
    /// # Errors
    /// `ParameterError` when a value has the wrong type.
    fn from_bound(values: Vec<Value>) -> Result<Self, Fault>;

    /// The arguments as a client sends them.
    fn into_args(self) -> Args;
}

/// A declared call, as data.
#[derive(Clone, Copy, Debug)]
pub struct Declaration {
    /// Name and parameters.
    pub signature: Signature,
    /// The name of the call's type, unlike every other: `HostOpenTask`. It names the call in gRPC.
    pub type_name: &'static str,
    /// The types of the parameters, in their order.
    pub types: &'static [Type],
    /// The type of the answer.
    pub output: Type,
    /// Who may use it.
    pub access: Access,
    /// Whether it changes anything.
    pub writes: bool,
    /// The documentation.
    pub doc: &'static str,
    /// Example arguments, as a JSON list.
    pub example: Option<&'static str>,
}

impl Declaration {
    /// The declaration of a call's type.
    pub const fn of<R: Rpc>() -> Self {
        Declaration {
            signature: R::SIGNATURE,
            type_name: R::TYPE_NAME,
            types: R::TYPES,
            output: <R::Output as Typed>::TYPE,
            access: R::ACCESS,
            writes: R::WRITES,
            doc: R::DOC,
            example: R::EXAMPLE,
        }
    }
}

/// Takes the next bound argument as a `T`.
pub(crate) fn take<T: FromValue>(values: &mut std::vec::IntoIter<Value>) -> Result<T, Fault> {
    T::from_value(values.next().unwrap_or_default())
}

/// A declared default as a `T`.
#[allow(clippy::expect_used)]
pub(crate) fn default<T: FromValue>(default: toji_value::Default) -> T {
    T::from_value(default.value()).expect("a declared default has its parameter's type")
}
