//! Documents that repositories carry: YAML of modules, XML of groups and updates, put together as text.

use std::collections::BTreeSet;

/// Ends of names of compressed files.
const PACKED: [&str; 4] = [".gz", ".zst", ".xz", ".bz2"];

/// True for the name of a compressed file.
pub(crate) fn is_packed(name: &str) -> bool {
    PACKED.iter().any(|end| name.ends_with(end))
}

/// A file's name without its compression.
pub(crate) fn plain_name(name: &str) -> &str {
    PACKED.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

/// Streams of YAML documents, one after the other.
pub(crate) fn join_yaml(streams: &[Vec<u8>]) -> Vec<u8> {
    let mut text = Vec::new();
    for stream in streams {
        let starts = stream.starts_with(b"---") || stream.starts_with(b"%");
        if !starts && !text.is_empty() {
            text.extend_from_slice(b"---\n");
        }
        text.extend_from_slice(stream);
        if !text.ends_with(b"\n") {
            text.push(b'\n');
        }
    }
    text
}

/// Joins XML documents of one kind: what is in the root of later ones is added to the first one, if it is not there
/// by its `id`. A document that is not understood is an error in words.
pub(crate) fn join_xml(root: &str, texts: &[String]) -> Result<String, String> {
    let Some((first, others)) = texts.split_first() else { return Ok(String::new()) };
    let (_, inner, _) = cut(root, first)?;
    let mut known: BTreeSet<(String, String)> = BTreeSet::new();
    for child in children(inner)? {
        known.insert((child.name.to_owned(), child.id));
    }
    let mut added = String::new();
    for text in others {
        let (_, inner, _) = cut(root, text)?;
        for child in children(inner)? {
            if known.insert((child.name.to_owned(), child.id)) {
                added.push_str("  ");
                added.push_str(child.text);
                added.push('\n');
            }
        }
    }
    let (head, inner, foot) = cut(root, first)?;
    let inner = inner.trim_end();
    Ok(format!("{head}{inner}\n{added}{foot}"))
}

struct Child<'a> {
    name: &'a str,
    id: String,
    text: &'a str,
}

/// Head, content and foot of a document.
fn cut<'a>(root: &str, text: &'a str) -> Result<(&'a str, &'a str, &'a str), String> {
    let wrong = || format!("not a document of {root}");
    let open = text.find(&format!("<{root}")).ok_or_else(wrong)?;
    let start = open + text[open..].find('>').ok_or_else(wrong)? + 1;
    if text[..start].ends_with("/>") {
        let head = &text[..start];
        return if text[start..].trim().is_empty() {
            Err(format!("{head} is empty"))
        } else {
            Err(wrong())
        };
    }
    let end = text.rfind(&format!("</{root}")).filter(|end| *end >= start).ok_or_else(wrong)?;
    Ok((&text[..start], &text[start..end], &text[end..]))
}

/// The elements at the top of a text. Those of groups and updates do not hold others of their own name.
fn children(mut text: &str) -> Result<Vec<Child<'_>>, String> {
    let mut found = Vec::new();
    loop {
        text = text.trim_start();
        if text.is_empty() {
            return Ok(found);
        }
        if let Some(rest) = text.strip_prefix("<!--") {
            let end = rest.find("-->").ok_or("a comment without end")?;
            text = &rest[end + 3..];
            continue;
        }
        let rest = text.strip_prefix('<').ok_or("text between elements")?;
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_-:".contains(c)));
        let name = &rest[..end.unwrap_or(0)];
        let tag = rest.find('>').ok_or("a tag without end")? + 2;
        let len = if name.is_empty() {
            return Err("an element without name".to_owned());
        } else if text[..tag].ends_with("/>") {
            tag
        } else {
            let close = format!("</{name}>");
            text.find(&close).ok_or_else(|| format!("no end of {name}"))? + close.len()
        };
        let element = &text[..len];
        found.push(Child { name, id: id_of(element), text: element });
        text = &text[len..];
    }
}

/// The first `id`; for what has none, the whole text.
fn id_of(element: &str) -> String {
    let id = element.split_once("<id>").and_then(|(_, rest)| rest.split_once("</id>"));
    id.map_or(element, |(id, _)| id.trim()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_joined_by_id() {
        let doc = |inner: &str| format!("<?xml version=\"1.0\"?>\n<comps>\n{inner}</comps>\n");
        let a = doc("  <group><id>a</id><name>1</name></group>\n");
        let b = doc(
            "  <!-- x --><group><id>a</id></group><category><id>a</id></category><group>\n<id>b</id></group>",
        );
        let joined = join_xml("comps", &[a.clone(), b]).unwrap();
        assert_eq!(
            joined,
            doc(
                "  <group><id>a</id><name>1</name></group>\n  <category><id>a</id></category>\n  <group>\n<id>b</id></group>\n"
            )
        );
        assert_eq!(join_xml("comps", std::slice::from_ref(&a)).unwrap(), a);
        assert!(join_xml("comps", &[a, "<updates></updates>".into()]).is_err());
        assert!(join_xml("comps", &[doc("<group>")]).is_err());
    }

    #[test]
    fn streams_of_yaml_stay_apart() {
        let streams = [b"a: 1".to_vec(), b"---\nb: 2\n".to_vec(), b"c: 3\n".to_vec()];
        assert_eq!(join_yaml(&streams), b"a: 1\n---\nb: 2\n---\nc: 3\n");
    }
}
