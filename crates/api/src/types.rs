//! The types of parameters and answers, as the doors with types show them.

use toji_value::{Map, Truth, Value};

/// What a parameter takes or an answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Any value.
    Any,
    /// A truth value.
    Bool,
    /// An integer of 64 bits.
    Int,
    /// A double.
    Double,
    /// Text.
    Str,
    /// A list of any values.
    List,
    /// A mapping from text to any values.
    Struct,
    /// One of these, or nil.
    Maybe(&'static Type),
}

impl Type {
    /// The type without the possibility of nil.
    pub fn inner(self) -> Type {
        match self {
            Type::Maybe(inner) => *inner,
            other => other,
        }
    }
}

/// A Rust type of the declarations.
pub trait Typed {
    /// What it is outside.
    const TYPE: Type;
}

macro_rules! typed {
    ($($rust:ty => $kind:ident),* $(,)?) => {
        $(impl Typed for $rust {
            const TYPE: Type = Type::$kind;
        })*
    };
}

typed! {
    Value => Any, bool => Bool, Truth => Bool, i64 => Int, f64 => Double, String => Str, Map => Struct,
}

impl<T> Typed for Vec<T> {
    const TYPE: Type = Type::List;
}

impl<T: Typed> Typed for Option<T> {
    const TYPE: Type = Type::Maybe(&T::TYPE);
}
