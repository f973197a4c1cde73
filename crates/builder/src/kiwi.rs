//! Descriptions of images for KIWI: what they say about the image, and as a builder gives them to kiwi.

use quick_xml::events::{BytesStart, BytesText, Event};
use quick_xml::{Reader, Writer, XmlVersion};

/// Deeper than any description, and than a stack bears.
const MOST_DEPTH: usize = 100;

/// What is wrong with a description.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DescriptionError {
    /// It is no XML.
    #[error("can't be parsed as XML.")]
    Xml,
    /// The element that holds all others is missing.
    #[error("doesn't contain <image> tag.")]
    Image,
    /// No version of the image.
    #[error("Description file doesn't contain preferences/version")]
    Version,
    /// A part is to come from elsewhere.
    #[error("Unhandled include protocol in include path: {0}.")]
    Include(String),
}

type Result<T, E = DescriptionError> = std::result::Result<T, E>;

/// A description.
#[derive(Debug)]
pub(crate) struct Description(Vec<Node>);

#[derive(Debug, Clone)]
enum Node {
    Element(Element),
    Other(Event<'static>),
}

#[derive(Debug, Clone)]
struct Element {
    start: BytesStart<'static>,
    children: Vec<Node>,
}

/// What a description says about the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The last profile that makes an image of its own.
    pub(crate) profile: Option<String>,
}

/// What a build says about the image.
pub(crate) struct Told<'t> {
    pub(crate) name: &'t str,
    pub(crate) version: &'t str,
    pub(crate) releasever: &'t str,
    /// The addresses of the repositories.
    pub(crate) repos: &'t [String],
    /// And of those that count only for names that none of these has.
    pub(crate) behind: &'t [String],
}

impl Description {
    /// Reads a text.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut reader = Reader::from_str(text);
        let mut open: Vec<Element> = Vec::new();
        let (mut all, mut roots) = (Vec::new(), 0);
        loop {
            let node = match reader.read_event().map_err(|_| DescriptionError::Xml)? {
                Event::Eof if open.is_empty() && roots == 1 => return Ok(Description(all)),
                Event::Eof => return Err(DescriptionError::Xml),
                Event::Start(_) if open.len() >= MOST_DEPTH => return Err(DescriptionError::Xml),
                Event::Start(start) => {
                    open.push(Element { start: start.into_owned(), children: Vec::new() });
                    continue;
                }
                Event::Empty(start) => {
                    Node::Element(Element { start: start.into_owned(), children: Vec::new() })
                }
                // What an entity stands for would escape from what a build replaces.
                Event::DocType(_) => return Err(DescriptionError::Xml),
                Event::GeneralRef(name) if !is_plain(&name) => return Err(DescriptionError::Xml),
                Event::End(_) => Node::Element(open.pop().ok_or(DescriptionError::Xml)?),
                other => Node::Other(other.into_owned()),
            };
            match open.last_mut() {
                Some(parent) => parent.children.push(node),
                None => {
                    match &node {
                        Node::Element(_) => roots += 1,
                        Node::Other(Event::Text(text)) if text.trim_ascii().is_empty() => {}
                        Node::Other(Event::Text(_) | Event::CData(_) | Event::GeneralRef(_)) => {
                            return Err(DescriptionError::Xml);
                        }
                        Node::Other(_) => {}
                    }
                    all.push(node);
                }
            }
        }
    }

    /// What it says about the image.
    pub(crate) fn about(&self) -> Result<About> {
        let image = find(&self.0, "image").ok_or(DescriptionError::Image)?;
        let mut versions = image
            .all("preferences")
            .into_iter()
            .filter_map(|preferences| Some(preferences.all("version").first()?.text()));
        let version = versions.rfind(|version| !version.is_empty());
        let profiles = image.all("profiles").into_iter().take(1);
        let profiles = profiles.flat_map(|profiles| profiles.all("profile"));
        let mut own =
            profiles.filter(|profile| profile.attribute("image").as_deref() == Some("true"));
        Ok(About {
            name: image.attribute("name").unwrap_or_default(),
            version: version.ok_or(DescriptionError::Version)?,
            profile: own.next_back().and_then(|profile| profile.attribute("name")),
        })
    }

    /// The files beside it that it includes.
    pub(crate) fn includes(&self) -> Result<Vec<String>> {
        let image = find(&self.0, "image").ok_or(DescriptionError::Image)?;
        let from = image.all("include").into_iter().map(|one| one.attribute("from"));
        let beside = |from: Option<String>| {
            let from = from.unwrap_or_default();
            let file = from.strip_prefix("this://").map(str::to_owned);
            file.ok_or(DescriptionError::Include(from))
        };
        from.map(beside).collect()
    }

    /// Puts what was included in its place, and name, version and repositories of a build.
    pub(crate) fn prepare(mut self, included: Vec<Description>, told: &Told<'_>) -> Result<String> {
        let mut parts = Vec::new();
        for description in included {
            let image = find(&description.0, "image").ok_or(DescriptionError::Image)?;
            let wanted = |node: &&Node| !is(node, "repository") && !is(node, "include");
            parts.extend(image.children.iter().filter(wanted).cloned());
        }
        let image = find_mut(&mut self.0, "image").ok_or(DescriptionError::Image)?;
        image.remove("include");
        image.children.extend(parts);
        image.remove("repository");
        let mut repos = told.repos.to_vec();
        repos.sort();
        repos.dedup();
        image.children.extend(repos.iter().map(|repo| repository(repo, None)));
        image.children.extend(told.behind.iter().map(|repo| repository(repo, Some(BEHIND))));
        image.set_attribute("name", told.name);
        let preferences = find_mut(&mut image.children, "preferences");
        let preferences = preferences.ok_or(DescriptionError::Version)?;
        let version = find_mut(&mut preferences.children, "version");
        version.ok_or(DescriptionError::Version)?.set_text(told.version);
        match find_mut(&mut preferences.children, "release-version") {
            Some(releasever) => releasever.set_text(told.releasever),
            None => {
                let mut releasever = Element::new("release-version");
                releasever.set_text(told.releasever);
                preferences.children.push(Node::Element(releasever));
            }
        }
        self.write()
    }

    fn write(&self) -> Result<String> {
        let mut writer = Writer::new(Vec::new());
        write(&mut writer, &self.0).map_err(|_| DescriptionError::Xml)?;
        String::from_utf8(writer.into_inner()).map_err(|_| DescriptionError::Xml)
    }
}

fn write(writer: &mut Writer<Vec<u8>>, nodes: &[Node]) -> std::io::Result<()> {
    for node in nodes {
        match node {
            Node::Other(event) => writer.write_event(event.borrow())?,
            Node::Element(one) if one.children.is_empty() => {
                writer.write_event(Event::Empty(one.start.borrow()))?;
            }
            Node::Element(one) => {
                writer.write_event(Event::Start(one.start.borrow()))?;
                write(writer, &one.children)?;
                writer.write_event(Event::End(one.start.to_end()))?;
            }
        }
    }
    Ok(())
}

/// Whether a reference is to a character, or to what XML itself knows.
fn is_plain(name: &str) -> bool {
    name.starts_with('#') || ["amp", "lt", "gt", "quot", "apos"].contains(&name)
}

/// Higher than the number that repositories without one have.
const BEHIND: &str = "199";

fn repository(url: &str, priority: Option<&str>) -> Node {
    let (mut repository, mut source) = (Element::new("repository"), Element::new("source"));
    repository.set_attribute("type", "rpm-md");
    if let Some(priority) = priority {
        repository.set_attribute("priority", priority);
    }
    source.set_attribute("path", url);
    repository.children.push(Node::Element(source));
    Node::Element(repository)
}

fn is(node: &Node, name: &str) -> bool {
    matches!(node, Node::Element(element) if element.is(name))
}

/// The first element of a name, on any level.
fn find<'n>(nodes: &'n [Node], name: &str) -> Option<&'n Element> {
    nodes.iter().find_map(|node| match node {
        Node::Element(element) if element.is(name) => Some(element),
        Node::Element(element) => find(&element.children, name),
        Node::Other(_) => None,
    })
}

fn find_mut<'n>(nodes: &'n mut [Node], name: &str) -> Option<&'n mut Element> {
    for node in nodes {
        let Node::Element(element) = node else { continue };
        if element.is(name) {
            return Some(element);
        }
        if let Some(found) = find_mut(&mut element.children, name) {
            return Some(found);
        }
    }
    None
}

impl Element {
    fn new(name: &str) -> Self {
        Element { start: BytesStart::new(name.to_owned()), children: Vec::new() }
    }

    fn is(&self, name: &str) -> bool {
        self.start.name().as_ref() == name
    }

    /// All elements of a name below it.
    fn all(&self, name: &str) -> Vec<&Element> {
        let mut found = Vec::new();
        for node in &self.children {
            let Node::Element(element) = node else { continue };
            if element.is(name) {
                found.push(element);
            }
            found.extend(element.all(name));
        }
        found
    }

    fn attribute(&self, name: &str) -> Option<String> {
        let attribute = self.start.try_get_attribute(name).ok()??;
        Some(attribute.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned())
    }

    fn set_attribute(&mut self, name: &str, value: &str) {
        let others: Vec<(String, String)> = self
            .start
            .attributes()
            .flatten()
            .map(|one| (one.key.as_ref().to_owned(), one))
            .filter(|(key, _)| key != name)
            .filter_map(|(key, one)| {
                Some((key, one.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned()))
            })
            .collect();
        self.start.clear_attributes();
        let all = others.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        self.start.extend_attributes(all.chain([(name, value)]));
    }

    fn text(&self) -> String {
        let texts = self.children.iter().filter_map(|node| match node {
            Node::Other(Event::Text(text)) => Some(text.to_string()),
            _ => None,
        });
        texts.collect::<String>().trim().to_owned()
    }

    fn set_text(&mut self, text: &str) {
        self.children = vec![Node::Other(Event::Text(BytesText::new(text).into_owned()))];
    }

    /// Removes the elements of a name from it.
    fn remove(&mut self, name: &str) {
        self.children.retain(|node| !is(node, name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "<?xml version=\"1.0\"?>\n<image schemaversion=\"8.0\" name=\"a &amp; b\">\
        <profiles><profile name=\"one\" image=\"true\"/><profile name=\"two\"/></profiles>\
        <preferences><version>1.0</version></preferences><repository type=\"rpm-md\"><source path=\"x\"/></repository>\
        <include from=\"this://more.xml\"/></image>";

    #[test]
    fn a_description_tells_about_its_image() {
        let about = Description::parse(TEXT).unwrap().about().unwrap();
        let (name, version) = ("a & b".to_owned(), "1.0".to_owned());
        assert_eq!(about, About { name, version, profile: Some("one".to_owned()) });
        let wrong = |text: &str| Description::parse(text).and_then(|d| d.about()).unwrap_err();
        assert_eq!(wrong("<image name='x'/>"), DescriptionError::Version);
        assert_eq!(wrong("<a/>"), DescriptionError::Image);
        assert_eq!(
            [wrong("<image>"), wrong(""), wrong("<a></b>"), wrong("a list"), wrong("<a/><image/>")],
            [const { DescriptionError::Xml }; 5]
        );
        let entity = "<!DOCTYPE image [<!ENTITY r '<repository/>'>]><image>&r;</image>";
        assert_eq!(wrong(entity), DescriptionError::Xml);
        assert_eq!(wrong("<image>&r;</image>"), DescriptionError::Xml);
        assert_eq!(wrong("<image>&#65;&amp;</image>"), DescriptionError::Version);
    }

    #[test]
    fn a_build_puts_itself_into_a_description() {
        let description = Description::parse(TEXT).unwrap();
        assert_eq!(description.includes().unwrap(), ["more.xml"]);
        let more = "<image><packages type=\"image\"/><repository><source path=\"y\"/></repository></image>";
        let repos = ["http://b/?x&y".to_owned(), "http://a/".to_owned(), "http://a/".to_owned()];
        let behind = ["http://c/".to_owned()];
        let told =
            Told { name: "n", version: "2", releasever: "40", repos: &repos, behind: &behind };
        let text = description.prepare(vec![Description::parse(more).unwrap()], &told).unwrap();
        let end = "<preferences><version>2</version><release-version>40</release-version></preferences><packages type=\"image\"/>\
            <repository type=\"rpm-md\"><source path=\"http://a/\"/></repository>\
            <repository type=\"rpm-md\"><source path=\"http://b/?x&amp;y\"/></repository>\
            <repository type=\"rpm-md\" priority=\"199\"><source path=\"http://c/\"/></repository></image>";
        assert!(text.ends_with(end), "{text}");
        assert!(text.contains("<image schemaversion=\"8.0\" name=\"n\">"), "{text}");
        let outside =
            Description::parse("<image><include from=\"file:///etc/x\"/></image>").unwrap();
        assert_eq!(outside.includes(), Err(DescriptionError::Include("file:///etc/x".to_owned())));
    }
}
