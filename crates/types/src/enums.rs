//! The macro that declares an enumeration stored as a number and spoken as a name.

/// A number or name that is not a member of an enumeration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {kind}: {value}")]
pub struct UnknownValue {
    /// What was being looked up, such as `task state`.
    pub kind: &'static str,
    /// The number or name that was given.
    pub value: String,
}

macro_rules! numbered {
    ($(#[$meta:meta])* $vis:vis enum $name:ident ($kind:literal) {
        $($(#[$vmeta:meta])* $variant:ident = $number:literal $text:literal,)+
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        $vis enum $name { $($(#[$vmeta])* $variant = $number,)+ }

        impl $name {
            /// Every member, in the order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name that clients see.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The number in the database and on the wire.
            pub const fn number(self) -> i64 {
                self as i64
            }

            /// The member with this name, if there is one.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|v| v.name() == name)
            }
        }

        impl TryFrom<i64> for $name {
            type Error = $crate::UnknownValue;

            fn try_from(number: i64) -> Result<Self, Self::Error> {
                match number {
                    $($number => Ok(Self::$variant),)+
                    other => Err($crate::UnknownValue { kind: $kind, value: other.to_string() }),
                }
            }
        }

        impl From<$name> for i64 {
            fn from(value: $name) -> i64 {
                value.number()
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::UnknownValue;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                Self::from_name(name)
                    .ok_or_else(|| $crate::UnknownValue { kind: $kind, value: name.to_owned() })
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

pub(crate) use numbered;
