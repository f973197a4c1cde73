//! What a declaration turns into.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::Ident;

use crate::declaration::{Area, Call, Param};

/// All items of one area.
pub(crate) fn area(area: &Area) -> TokenStream {
    let calls = area.calls.iter().map(call);
    let types: Vec<Ident> = area.calls.iter().map(type_name).collect();
    let module = &area.name;
    let list = format_ident!("{}_rpcs", area.name);
    let doc = format!("Calls `$callback!(Type, …)` with every call of the area `{module}`.");
    quote! {
        #(#calls)*

        /// The calls of this area.
        pub const DECLARATIONS: &[crate::Declaration] =
            &[#(crate::Declaration::of::<#types>()),*];

        #[doc = #doc]
        #[macro_export]
        macro_rules! #list {
            ($callback:ident) => { $callback!(#($crate::#module::#types),*); };
        }
    }
}

fn call(call: &Call) -> TokenStream {
    let name = type_name(call);
    let wire = &call.wire_name;
    let docs = &call.docs;
    let access = &call.access;
    let writes = call.writes;
    let output = &call.output;
    let default_python = format!("RootExports.{wire}");
    let python = call.python.as_ref().map_or(default_python, |p| p.value());
    let example = match &call.example {
        Some(text) => quote!(Some(#text)),
        None => quote!(None),
    };
    let doc_text = doc_text(call);
    let fields: Vec<Ident> = call.params.iter().map(|p| field_name(&p.name)).collect();
    let types: Vec<_> = call.params.iter().map(|p| &p.ty).collect();
    let field_docs = call.params.iter().map(|p| format!("The parameter `{}`.", p.name));
    let params = call.params.iter().map(param);
    let encode = call.params.iter().map(encode);
    let constructor = constructor(call);
    quote! {
        #(#docs)*
        #[derive(Clone, Debug, PartialEq)]
        pub struct #name { #(#[doc = #field_docs] pub #fields: #types,)* }

        #constructor

        impl crate::Rpc for #name {
            const SIGNATURE: ::toji_value::Signature = ::toji_value::Signature {
                name: #wire,
                python: #python,
                params: &[#(#params),*],
            };
            const TYPE_NAME: &'static str = stringify!(#name);
            const TYPES: &'static [crate::Type] = &[#(<#types as crate::Typed>::TYPE),*];
            const ACCESS: crate::Access = crate::Access::#access;
            const WRITES: bool = #writes;
            const DOC: &'static str = #doc_text;
            const EXAMPLE: Option<&'static str> = #example;
            type Output = #output;

            #[allow(unused_mut, unused_variables)]
            fn from_bound(values: Vec<::toji_value::Value>) -> Result<Self, ::toji_value::Fault> {
                let mut values = values.into_iter();
                Ok(Self { #(#fields: crate::take::<#types>(&mut values)?,)* })
            }

            #[allow(unused_mut)]
            fn into_args(self) -> ::toji_value::Args {
                let mut args = ::toji_value::Args::default();
                #(#encode)*
                args
            }
        }
    }
}

/// `new` takes what has no default; the rest starts from the defaults.
fn constructor(call: &Call) -> TokenStream {
    let name = type_name(call);
    let is_plain = |p: &&Param| p.kind.to_string() == "Plain";
    let required: Vec<&Param> =
        call.params.iter().filter(|p| p.default.is_none()).filter(is_plain).collect();
    let arguments = required.iter().map(|p| {
        let (field, ty) = (field_name(&p.name), &p.ty);
        quote!(#field: impl Into<#ty>)
    });
    let fields = call.params.iter().map(|p| {
        let field = field_name(&p.name);
        if required.iter().any(|r| r.name == p.name) {
            return quote!(#field: #field.into());
        }
        let ty = &p.ty;
        match &p.default {
            Some(default) => quote!(#field: crate::default::<#ty>(::toji_value::Default::#default)),
            None => quote!(#field: <#ty as Default>::default()),
        }
    });
    quote! {
        impl #name {
            /// The request with every optional parameter at its default.
            #[allow(clippy::new_without_default)]
            pub fn new(#(#arguments),*) -> Self {
                Self { #(#fields),* }
            }
        }
    }
}

fn param(param: &Param) -> TokenStream {
    let name = param.name.to_string();
    let kind = &param.kind;
    let default = match &param.default {
        Some(value) => quote!(Some(::toji_value::Default::#value)),
        None => quote!(None),
    };
    quote! {
        ::toji_value::Param { name: #name, default: #default, kind: ::toji_value::ParamKind::#kind }
    }
}

fn encode(param: &Param) -> TokenStream {
    let field = field_name(&param.name);
    match param.kind.to_string().as_str() {
        "Rest" => quote!(args.positional.extend(self.#field);),
        "Keywords" => quote!(args.keywords.extend(self.#field);),
        "Named" => {
            let name = param.name.to_string();
            quote! {
                match ::toji_value::IntoValue::into_value(self.#field) {
                    ::toji_value::Value::Nil => {}
                    given => drop(args.keywords.insert(#name, given)),
                }
            }
        }
        _ => quote!(args.positional.push(::toji_value::IntoValue::into_value(self.#field));),
    }
}

fn doc_text(call: &Call) -> String {
    let lines = call.docs.iter().filter_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(pair) => match &pair.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    });
    lines.map(|line| line.trim().to_owned()).collect::<Vec<_>>().join("\n")
}

/// `host.openTask` → `HostOpenTask`, `_listapi` → `Listapi`.
fn type_name(call: &Call) -> Ident {
    let mut name = String::new();
    for part in call.wire_name.split(['.', '_']) {
        let mut chars = part.chars();
        name.extend(chars.next().map(|c| c.to_ascii_uppercase()));
        name.extend(chars);
    }
    Ident::new(&name, call.span)
}

/// `buildID` → `build_id`, `tagInfo` → `tag_info`, `type` → `type_`.
fn field_name(name: &Ident) -> Ident {
    let wire = name.to_string();
    let mut snake = String::new();
    let mut previous_lower = false;
    for c in wire.chars() {
        if c.is_ascii_uppercase() && previous_lower {
            snake.push('_');
        }
        previous_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
        snake.push(c.to_ascii_lowercase());
    }
    if syn::parse_str::<Ident>(&snake).is_err() {
        snake.push('_');
    }
    Ident::new(&snake, Span::call_site())
}
