//! The full inheritance of a tag: which tags it sees, in which order, and through which filters.

use std::collections::{HashMap, HashSet};

use toji_db::Row;
use toji_db::tag::inheritance;
use toji_value::{Fault, Map, Value, map};

use crate::Call;

/// A link of the full inheritance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The tag that inherits.
    pub tag_id: i64,
    /// The tag that it inherits from.
    pub parent_id: i64,
    /// Name of the tag at the far end: the parent, or (in reverse) the child.
    pub name: String,
    /// Lower comes first.
    pub priority: i64,
    /// The link's own limit of depth.
    pub maxdepth: Option<i64>,
    /// Whether the link counts only for the tag that it is set on.
    pub intransitive: bool,
    /// Whether groups, arches and extra values are not inherited over it.
    pub noconfig: bool,
    /// The link's own filter of package names.
    pub pkg_filter: Option<String>,
    /// Steps from the first tag.
    pub depth: i64,
    /// Steps that may follow; nothing is no limit.
    pub next_depth: Option<i64>,
    /// All filters up to here: names must match each.
    pub filter: Vec<String>,
}

impl Node {
    fn of(row: &Row) -> Result<Node, Fault> {
        Ok(Node {
            tag_id: row.get("tag_id")?,
            parent_id: row.get("parent_id")?,
            name: row.get("name")?,
            priority: row.get("priority")?,
            maxdepth: row.get("maxdepth")?,
            intransitive: row.get("intransitive")?,
            noconfig: row.get("noconfig")?,
            pkg_filter: row.get("pkg_filter")?,
            depth: 0,
            next_depth: None,
            filter: Vec::new(),
        })
    }

    /// The link as `getFullInheritance` shows it.
    pub fn to_map(&self, reverse: bool) -> Map {
        let mut shown = map! {
            "parent_id" => self.parent_id,
            "name" => &self.name,
            "priority" => self.priority,
            "maxdepth" => self.maxdepth,
            "intransitive" => self.intransitive,
            "noconfig" => self.noconfig,
            "pkg_filter" => self.pkg_filter.clone(),
            "nextdepth" => self.next_depth,
            "currdepth" => self.depth,
            "filter" => self.filter.clone(),
        };
        let near = if reverse { "tag_id" } else { "child_id" };
        shown.insert(near, Value::Int(self.tag_id));
        shown
    }
}

/// The links that a tag inherits over, in order of preference.
///
/// # Errors
/// When the database fails.
pub async fn full(call: &mut Call, tag_id: i64, event: Option<i64>) -> Result<Vec<Node>, Fault> {
    read(call, tag_id, event, false).await
}

/// The links over which other tags inherit from a tag.
///
/// # Errors
/// When the database fails.
pub async fn descendants(
    call: &mut Call,
    tag_id: i64,
    event: Option<i64>,
) -> Result<Vec<Node>, Fault> {
    read(call, tag_id, event, true).await
}

async fn read(
    call: &mut Call,
    tag_id: i64,
    event: Option<i64>,
    reverse: bool,
) -> Result<Vec<Node>, Fault> {
    let rows = inheritance::reachable(&mut call.tx, tag_id, event, reverse).await?;
    let links: Vec<Node> = rows.iter().map(Node::of).collect::<Result<_, _>>()?;
    Ok(order(tag_id, links, reverse))
}

/// Walks the links from a tag depth first, lower priority first.
///
/// A tag that was seen already is taken again only where the earlier way saw less of it: less
/// depth, fewer settings, or a filter. Loops are cut. (Behaviour of Koji's
/// `readFullInheritanceRecurse`.)
fn order(tag_id: i64, links: Vec<Node>, reverse: bool) -> Vec<Node> {
    let mut by_tag: HashMap<i64, Vec<Node>> = HashMap::new();
    for link in links {
        let near = if reverse { link.parent_id } else { link.tag_id };
        by_tag.entry(near).or_default().push(link);
    }
    let mut walk =
        Walk { by_tag, reverse, order: Vec::new(), seen: HashMap::new(), path: HashSet::new() };
    walk.visit(tag_id, Way { depth: 0, left: None, noconfig: false, filter: Vec::new() });
    walk.order
}

struct Walk {
    by_tag: HashMap<i64, Vec<Node>>,
    reverse: bool,
    order: Vec<Node>,
    /// For each tag, where in `order` it is.
    seen: HashMap<i64, Vec<usize>>,
    path: HashSet<i64>,
}

/// How a tag was reached.
struct Way {
    depth: i64,
    left: Option<i64>,
    noconfig: bool,
    filter: Vec<String>,
}

impl Walk {
    fn visit(&mut self, tag_id: i64, way: Way) {
        if way.left.is_some_and(|left| left < 1) {
            return;
        }
        self.path.insert(tag_id);
        let mut noconfig = way.noconfig;
        for mut link in self.by_tag.get(&tag_id).cloned().unwrap_or_default() {
            let next = if self.reverse { link.tag_id } else { link.parent_id };
            if self.path.contains(&next) {
                continue;
            }
            link.depth = way.depth + 1;
            if !self.limit(&mut link, way.left) {
                continue;
            }
            noconfig |= link.noconfig;
            link.filter.clone_from(&way.filter);
            link.filter.extend(link.pkg_filter.clone().filter(|pattern| !pattern.is_empty()));
            if self.known(next, &link, noconfig) {
                continue;
            }
            self.seen.entry(next).or_default().push(self.order.len());
            self.order.push(link.clone());
            if link.intransitive && self.reverse {
                continue;
            }
            let Node { depth, next_depth: left, filter, .. } = link;
            self.visit(next, Way { depth, left, noconfig, filter });
        }
        self.path.remove(&tag_id);
    }

    /// Sets how far the link leads; tells whether it counts at all.
    fn limit(&self, link: &mut Node, left: Option<i64>) -> bool {
        if self.reverse {
            // Depth is not passed on in this direction: each link is measured from the start.
            return link.maxdepth.is_none_or(|most| most >= link.depth - 1);
        }
        if link.intransitive && self.path.len() > 1 {
            return false;
        }
        link.next_depth = match (link.maxdepth, left) {
            (own, None) => own,
            (None, Some(left)) => Some(left - 1),
            (Some(own), Some(left)) => Some(own.min(left) - 1),
        };
        true
    }

    /// Whether the tag was reached before in a way that shows at least as much.
    fn known(&self, tag_id: i64, link: &Node, noconfig: bool) -> bool {
        let Some(places) = self.seen.get(&tag_id) else { return false };
        places.iter().any(|place| {
            let earlier = &self.order[*place];
            let shallower = match (earlier.next_depth, link.next_depth) {
                (Some(_), None) => true,
                (Some(before), Some(now)) => before < now,
                (None, _) => false,
            };
            !shallower && (!earlier.noconfig || noconfig) && earlier.filter.is_empty()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(tag_id: i64, parent_id: i64, priority: i64) -> Node {
        Node {
            tag_id,
            parent_id,
            name: format!("t{parent_id}"),
            priority,
            maxdepth: None,
            intransitive: false,
            noconfig: false,
            pkg_filter: None,
            depth: 0,
            next_depth: None,
            filter: Vec::new(),
        }
    }

    fn parents(order: &[Node]) -> Vec<i64> {
        order.iter().map(|node| node.parent_id).collect()
    }

    #[test]
    fn depth_first_without_repeats_or_loops() {
        let links = vec![link(1, 2, 0), link(1, 3, 5), link(2, 4, 0), link(3, 4, 0), link(4, 1, 0)];
        assert_eq!(parents(&order(1, links, false)), [2, 4, 3]);
    }

    #[test]
    fn depth_is_limited_by_the_tightest_link() {
        let mut links = vec![link(1, 2, 0), link(2, 3, 0), link(3, 4, 0), link(4, 5, 0)];
        links[0].maxdepth = Some(2);
        let found = order(1, links, false);
        assert_eq!(parents(&found), [2, 3, 4]);
        let left: Vec<_> = found.iter().map(|node| node.next_depth).collect();
        assert_eq!(left, [Some(2), Some(1), Some(0)]);
    }

    #[test]
    fn intransitive_links_count_at_the_first_tag_only() {
        let mut links = vec![link(1, 2, 0), link(2, 3, 0)];
        links[1].intransitive = true;
        assert_eq!(parents(&order(1, links.clone(), false)), [2]);
        assert_eq!(parents(&order(2, links[1..].to_vec(), false)), [3]);
    }

    #[test]
    fn a_filtered_way_does_not_hide_an_open_one() {
        let mut links = vec![link(1, 2, 0), link(1, 3, 1), link(2, 4, 0), link(3, 4, 0)];
        links[0].pkg_filter = Some("^a".into());
        let found = order(1, links, false);
        assert_eq!(parents(&found), [2, 4, 3, 4]);
        assert_eq!(found[1].filter, ["^a"]);
        assert!(found[3].filter.is_empty());
    }

    #[test]
    fn reverse_measures_depth_from_the_start() {
        let mut links = vec![link(2, 1, 0), link(3, 2, 0), link(4, 3, 0)];
        links[2].maxdepth = Some(1);
        let tags: Vec<_> = order(1, links, true).iter().map(|node| node.tag_id).collect();
        assert_eq!(tags, [2, 3]);
    }
}
