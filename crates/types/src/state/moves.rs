//! The tables of legal moves between states.

use super::{BuildState, RepoState, TaskState};

/// From each task state, the states it may move to. Staying is not a move.
pub const TASK_MOVES: &[(TaskState, &[TaskState])] = {
    use TaskState::{Assigned, Canceled, Closed, Failed, Free, Open};
    &[
        // the hub itself fails a free task that no host will ever take
        (Free, &[Open, Canceled, Assigned, Failed]),
        // an administrator may take an open task away and give it to another host
        (Open, &[Free, Closed, Canceled, Assigned, Failed]),
        (Assigned, &[Free, Open, Canceled]),
        (Closed, &[]),
        (Canceled, &[]),
        (Failed, &[]),
    ]
};

/// From each build state, the states it may move to.
pub const BUILD_MOVES: &[(BuildState, &[BuildState])] = {
    use BuildState::{Building, Canceled, Complete, Deleted, Failed};
    &[
        (Building, &[Complete, Failed, Canceled]),
        // to Canceled is `resetBuild`, by which an administrator frees the name again
        (Complete, &[Deleted, Canceled]),
        (Deleted, &[Canceled]),
        // a failed build leaves its name free: it may be started again or imported
        (Failed, &[Building, Complete, Canceled]),
        (Canceled, &[Building, Complete]),
    ]
};

/// From each repository state, the states it may move to.
pub const REPO_MOVES: &[(RepoState, &[RepoState])] = {
    use RepoState::{Deleted, Expired, Init, Problem, Ready};
    &[
        (Init, &[Ready, Expired, Deleted, Problem]),
        (Ready, &[Expired, Deleted, Problem]),
        (Expired, &[Deleted, Problem]),
        (Deleted, &[]),
        (Problem, &[Deleted]),
    ]
};

fn allowed<S: Copy + PartialEq>(table: &[(S, &[S])], from: S, to: S) -> bool {
    table.iter().any(|(state, next)| *state == from && next.contains(&to))
}

impl TaskState {
    /// True for a state that no move leaves.
    pub const fn is_finished(self) -> bool {
        matches!(self, Self::Closed | Self::Canceled | Self::Failed)
    }

    /// True if a task may move from this state to `to`.
    pub fn can_become(self, to: Self) -> bool {
        allowed(TASK_MOVES, self, to)
    }
}

impl BuildState {
    /// True if a build may move from this state to `to`.
    pub fn can_become(self, to: Self) -> bool {
        allowed(BUILD_MOVES, self, to)
    }
}

impl RepoState {
    /// True if a repository may move from this state to `to`.
    pub fn can_become(self, to: Self) -> bool {
        allowed(REPO_MOVES, self, to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_exactly_one_row() {
        for state in TaskState::ALL {
            assert_eq!(TASK_MOVES.iter().filter(|(s, _)| s == state).count(), 1);
        }
        for state in BuildState::ALL {
            assert_eq!(BUILD_MOVES.iter().filter(|(s, _)| s == state).count(), 1);
        }
        for state in RepoState::ALL {
            assert_eq!(REPO_MOVES.iter().filter(|(s, _)| s == state).count(), 1);
        }
    }

    #[test]
    fn finished_tasks_are_exactly_those_without_moves() {
        for (state, next) in TASK_MOVES {
            assert_eq!(state.is_finished(), next.is_empty(), "{state}");
            assert!(!next.contains(state));
        }
    }

    #[test]
    fn repositories_move_upward_except_to_deleted() {
        for from in RepoState::ALL {
            for to in RepoState::ALL {
                let expected = from != to
                    && *from != RepoState::Deleted
                    && (to > from || *to == RepoState::Deleted);
                assert_eq!(from.can_become(*to), expected, "{from} -> {to}");
            }
        }
    }

    #[test]
    fn numbers_and_names_go_both_ways() {
        assert_eq!(TaskState::try_from(4), Ok(TaskState::Assigned));
        assert_eq!(TaskState::Failed.number(), 5);
        assert_eq!("CANCELED".parse(), Ok(BuildState::Canceled));
        assert_eq!(TaskState::try_from(6).unwrap_err().to_string(), "unknown task state: 6");
        assert!(TaskState::try_from(-1).is_err());
        for (i, state) in TaskState::ALL.iter().enumerate() {
            assert_eq!(state.number(), i as i64);
        }
    }
}
