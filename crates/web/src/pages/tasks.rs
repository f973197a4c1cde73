//! Tasks: the listing, and one task with its children, result and logs.

use axum::extract::State;
use axum::response::Response;
use minijinja::context;
use serde::Deserialize;
use toji_value::{Map, Value, list, map};

use super::{Asked, Paging};
use crate::Site;
use crate::error::PageError;
use crate::view::{self, task_word, template_value, with_state};

pub(crate) async fn list(
    State(site): State<Site>,
    Asked(paging): Asked<Paging>,
) -> Result<Response, PageError> {
    let mut filter = map! { "parent" => Value::Nil, "decode" => true };
    if let Some(state) = paging.state {
        filter.insert("state", list![state]);
    }
    let options = paging.options("-id");
    let answer = site.call("listTasks", vec![filter.into(), options.into()], Map::new()).await?;
    let mut tasks = view::tasks(answer);
    let (previous, next) = paging.cut(&mut tasks);
    let state = paging.state;
    let events = paging.is_first().then_some("kinds=task.state");
    site.page("tasks.html", context! { title => "Tasks", tasks, previous, next, state, events })
}

#[derive(Deserialize)]
pub(crate) struct Id {
    #[serde(rename = "taskID")]
    task_id: i64,
}

pub(crate) async fn one(
    State(site): State<Site>,
    Asked(id): Asked<Id>,
) -> Result<Response, PageError> {
    let args = vec![id.task_id.into()];
    let task = site.call("getTaskInfo", args.clone(), map! { "request" => true }).await?;
    if task.is_nil() {
        return Err(PageError::NotFound(format!("There is no task {}.", id.task_id)));
    }
    let children = site.call("getTaskChildren", args.clone(), map! { "request" => true }).await?;
    let files = site.call("listTaskOutput", args.clone(), Map::new()).await?;
    let state = task.get("state").as_int().unwrap_or(-1);
    let result = match state {
        2 | 5 => {
            let answer =
                site.call("getTaskResult", args.clone(), map! { "raise_fault" => false }).await?;
            Some(result_text(&answer))
        }
        _ => None,
    };
    let waiting = match state {
        0 => Some(template_value(&site.call("scheduler.explain", args, Map::new()).await?)),
        _ => None,
    };
    let events =
        matches!(state, 0 | 1 | 4).then(|| format!("kinds=task.state&tasks={}", id.task_id));
    let title = format!("{} ({})", task.get("method").display(), id.task_id);
    site.page(
        "task.html",
        context! {
            title,
            task_id => id.task_id,
            request => request_lines(task.get("request")),
            task => with_state(task, task_word),
            children => view::tasks(children),
            files => template_value(&files),
            result,
            waiting,
            events,
        },
    )
}

/// The parameters of a request, one to a line, as a user reads them.
fn request_lines(request: &Value) -> Vec<String> {
    request.as_array().unwrap_or_default().iter().map(Value::display).collect()
}

/// The result as text: a failure's message, or the value.
fn result_text(answer: &Value) -> String {
    match answer.get("faultString") {
        Value::Nil => answer.display(),
        text => text.display(),
    }
}
