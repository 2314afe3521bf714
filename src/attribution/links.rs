//! Which pull request work went into, by the pull requests that it was linked to.

use jiff::Timestamp;

/// A pull request that something was linked to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// When.
    pub at: Timestamp,
    /// The pull request.
    pub pr: String,
}

/// Returns the pull request that a request at `at` went into: the one linked last before it, else the first, because
/// a pull request is opened when there is something in it.
///
/// `links` are in their order.
pub fn pull_request(links: &[Link], at: Timestamp) -> Option<&str> {
    let n_before = links.partition_point(|link| link.at <= at);
    links.get(n_before.saturating_sub(1)).map(|link| link.pr.as_str())
}

/// Returns since when, and until when, requests go into another pull request because `new` is one of `links`; nothing
/// if all go where they went.
///
/// `links` are in their order.
pub fn linked_anew(links: &[Link], new: &Link) -> Option<(Option<Timestamp>, Option<Timestamp>)> {
    let n_before = links.partition_point(|link| link < new);
    let (before, after) = (n_before.checked_sub(1).map(|last| &links[last]), links.get(n_before + 1));
    // The first link holds for what was made before it, too; where there is one before it, that one held until now.
    let replaced = before.or(after);
    let is_brief = before.is_some() && after.is_some_and(|after| after.at == new.at);
    if is_brief || replaced.is_some_and(|replaced| replaced.pr == new.pr) {
        return None;
    }
    Some((before.map(|_| new.at), after.map(|after| after.at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn link((moment, pr): (i64, &str)) -> Link {
        Link { at: at(moment), pr: pr.to_owned() }
    }

    #[test]
    fn work_goes_into_the_pull_request_that_is_open_then() {
        let links = [(30, "#1"), (50, "#2")].map(link);
        for (moment, expected) in [(1, "#1"), (49, "#1"), (50, "#2")] {
            assert_eq!(pull_request(&links, at(moment)), Some(expected), "at {moment}");
        }
        assert_eq!(pull_request(&[], at(1)), None);
    }

    #[test]
    fn work_goes_elsewhere_just_when_a_new_link_says_so() {
        let possible = [(1, "#1"), (1, "#2"), (2, "#1"), (2, "#2"), (3, "#1"), (3, "#2")].map(link);
        for chosen in 0..1 << possible.len() {
            let is_chosen = |n: &usize| chosen & (1 << n) != 0;
            let links: Vec<_> = (0..possible.len()).filter(is_chosen).map(|n| possible[n].clone()).collect();
            for new in &links {
                let before: Vec<_> = links.iter().filter(|link| *link != new).cloned().collect();
                let found = linked_anew(&links, new);
                for moment in 0..5 {
                    let goes_elsewhere =
                        pull_request(&before, at(moment)) != pull_request(&links, at(moment));
                    let is_found = found.is_some_and(|(since, until)| {
                        since.is_none_or(|since| since <= at(moment))
                            && until.is_none_or(|until| at(moment) < until)
                    });
                    assert_eq!(is_found, goes_elsewhere, "{new:?} of {links:?} at {moment}");
                }
            }
        }
    }
}
