//! Parsing of the declarations inside `rpcs!`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Ident, LitStr, Result, Token, Type};

/// The calls of one area.
pub(crate) struct Area {
    pub(crate) name: Ident,
    pub(crate) calls: Vec<Call>,
}

/// One declared call.
pub(crate) struct Call {
    pub(crate) docs: Vec<Attribute>,
    pub(crate) access: TokenStream,
    pub(crate) python: Option<LitStr>,
    pub(crate) example: Option<LitStr>,
    pub(crate) writes: bool,
    pub(crate) wire_name: String,
    pub(crate) params: Vec<Param>,
    pub(crate) output: Type,
    pub(crate) span: proc_macro2::Span,
}

/// One declared parameter.
pub(crate) struct Param {
    pub(crate) kind: TokenStream,
    pub(crate) name: Ident,
    pub(crate) ty: Type,
    pub(crate) default: Option<TokenStream>,
}

impl Parse for Area {
    fn parse(input: ParseStream) -> Result<Self> {
        let keyword: Ident = input.parse()?;
        if keyword != "area" {
            return Err(syn::Error::new(keyword.span(), "expected `area NAME;` first"));
        }
        let name = input.parse()?;
        input.parse::<Token![;]>()?;
        let mut calls = Vec::new();
        while !input.is_empty() {
            calls.push(input.parse()?);
        }
        Ok(Area { name, calls })
    }
}

impl Parse for Call {
    fn parse(input: ParseStream) -> Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let mode: Ident = input.parse()?;
        let writes = match mode.to_string().as_str() {
            "read" => false,
            "write" => true,
            _ => return Err(syn::Error::new(mode.span(), "expected `read` or `write`")),
        };
        let first: Ident = input.parse()?;
        let mut wire_name = first.to_string();
        while input.peek(Token![.]) {
            input.parse::<Token![.]>()?;
            wire_name = format!("{wire_name}.{}", input.parse::<Ident>()?);
        }
        let inner;
        syn::parenthesized!(inner in input);
        let params = inner.parse_terminated(Param::parse, Token![,])?.into_iter().collect();
        input.parse::<Token![->]>()?;
        let output = input.parse()?;
        input.parse::<Token![;]>()?;
        let mut call = Call {
            docs: Vec::new(),
            access: TokenStream::new(),
            python: None,
            example: None,
            writes,
            wire_name,
            params,
            output,
            span: first.span(),
        };
        for attribute in attributes {
            call.take_attribute(attribute)?;
        }
        call.check()
    }
}

impl Call {
    fn take_attribute(&mut self, attribute: Attribute) -> Result<()> {
        let path = attribute.path();
        if path.is_ident("doc") {
            self.docs.push(attribute);
        } else if path.is_ident("access") {
            self.access = attribute.parse_args_with(parse_access)?;
        } else if path.is_ident("python") {
            self.python = Some(attribute.parse_args()?);
        } else if path.is_ident("example") {
            self.example = Some(attribute.parse_args()?);
        } else {
            let text = "expected `access`, `python`, `example` or documentation";
            return Err(syn::Error::new_spanned(attribute, text));
        }
        Ok(())
    }

    fn check(self) -> Result<Self> {
        if self.access.is_empty() {
            return Err(syn::Error::new(self.span, "a call must say who may use it: #[access(…)]"));
        }
        if self.docs.is_empty() {
            return Err(syn::Error::new(self.span, "a call must be documented"));
        }
        Ok(self)
    }
}

fn parse_access(input: ParseStream) -> Result<TokenStream> {
    let kind: Ident = input.parse()?;
    let text = if input.peek(Token![,]) {
        input.parse::<Token![,]>()?;
        Some(input.parse::<LitStr>()?)
    } else {
        None
    };
    match (kind.to_string().as_str(), text) {
        ("anonymous", None) => Ok(quote!(Anonymous)),
        ("login", None) => Ok(quote!(Login)),
        ("host", None) => Ok(quote!(Host)),
        ("admin", None) => Ok(quote!(Admin)),
        ("permission", Some(name)) => Ok(quote!(Permission(#name))),
        ("owner", Some(rule)) => Ok(quote!(Owner(#rule))),
        ("custom", Some(rule)) => Ok(quote!(Custom(#rule))),
        _ => Err(syn::Error::new(
            kind.span(),
            "expected anonymous, login, host, admin, `permission, \"name\"`, `owner, \"rule\"` or `custom, \"rule\"`",
        )),
    }
}

impl Parse for Param {
    fn parse(input: ParseStream) -> Result<Self> {
        let mut stars = 0;
        while input.peek(Token![*]) {
            input.parse::<Token![*]>()?;
            stars += 1;
        }
        let kind = match stars {
            0 => quote!(Plain),
            1 => quote!(Rest),
            _ => quote!(Keywords),
        };
        let mut name = input.call(<Ident as syn::ext::IdentExt>::parse_any)?;
        let mut kind = kind;
        // `named sigkey: …`: a parameter that is given by name only.
        if name == "named" && !input.peek(Token![:]) {
            kind = quote!(Named);
            name = input.call(<Ident as syn::ext::IdentExt>::parse_any)?;
        }
        input.parse::<Token![:]>()?;
        let ty = input.parse()?;
        let default = if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            Some(parse_default(input)?)
        } else {
            None
        };
        Ok(Param { kind, name, ty, default })
    }
}

fn parse_default(input: ParseStream) -> Result<TokenStream> {
    let lookahead = input.lookahead1();
    if lookahead.peek(syn::LitBool) {
        let value: syn::LitBool = input.parse()?;
        Ok(quote!(Bool(#value)))
    } else if lookahead.peek(syn::LitInt) {
        let value: syn::LitInt = input.parse()?;
        Ok(quote!(Int(#value)))
    } else if lookahead.peek(Token![-]) {
        input.parse::<Token![-]>()?;
        let value: syn::LitInt = input.parse()?;
        Ok(quote!(Int(-#value)))
    } else if lookahead.peek(LitStr) {
        let value: LitStr = input.parse()?;
        Ok(quote!(Str(#value)))
    } else {
        let none: Ident = input.parse()?;
        if none != "None" {
            return Err(syn::Error::new(none.span(), "expected None, a bool, an integer or text"));
        }
        Ok(quote!(Nil))
    }
}
