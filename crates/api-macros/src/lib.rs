//! The `rpcs!` macro: one declaration of a remote call becomes its request type, its signature,
//! its access rule and its place in the list that the hub must answer completely.

mod declaration;
mod expand;

use proc_macro::TokenStream;

/// Declares the calls of one area.
///
/// ```text
/// rpcs! {
///     area tag;
///
///     /// Returns a tag, or nil.
///     #[access(anonymous)]
///     #[python("get_tag")]
///     #[example(r#"["f43-build"]"#)]
///     read getTag(tagInfo: Value, strict: bool = false, event: Option<i64> = None) -> Value;
/// }
/// ```
///
/// - `read` or `write` says whether the call changes anything: a reading call never takes the
///   database's writer.
/// - `access` is mandatory: `anonymous`, `login`, `host`, `admin`, `permission, "name"`, or
///   `custom, "rule in words"` where the handler decides.
/// - `python` is the qualified name in Koji's error texts; without it `RootExports.<name>`.
/// - `*args: Vec<Value>` and `**kw: Map` collect what is left.
#[proc_macro]
pub fn rpcs(input: TokenStream) -> TokenStream {
    let area = syn::parse_macro_input!(input as declaration::Area);
    expand::area(&area).into()
}
