//! Packages for every arch that several arches of one build made.

use toji_value::Fault;

use crate::build::source::Source;

/// Keeps one of the packages of each name; doubled ones must be noarch and must not differ.
///
/// # Errors
/// A build fault that tells how two packages of a name differ.
pub(super) fn merge(sources: Vec<Source>) -> Result<Vec<Source>, Fault> {
    let mut kept: Vec<Source> = Vec::with_capacity(sources.len());
    for source in sources {
        match kept.iter().find(|k| k.file_name() == source.file_name()) {
            None => kept.push(source),
            Some(first) if source.arch != "noarch" => {
                let (name, a, b) = (source.file_name(), &first.rel, &source.rel);
                return Err(Fault::build(format!("{name} was given twice: {a} and {b}")));
            }
            Some(first) => compare(first, &source)?,
        }
    }
    Ok(kept)
}

fn compare(first: &Source, second: &Source) -> Result<(), Fault> {
    let differences = first.differences(second);
    if differences.is_empty() {
        return Ok(());
    }
    let name = first.file_name();
    let text = format!(
        "The following noarch package built differently on different architectures: {name}\n\
         rpmdiff output was:\n{}",
        differences.join("\n")
    );
    Err(Fault::build(text))
}
