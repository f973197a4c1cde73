//! PostgreSQL: a pool of connections with prepared statements, one transaction at a time on each.

mod codec;
mod connect;
mod export;
mod home;
mod stay;
mod tls;

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use deadpool_postgres::{
    Manager, ManagerConfig, Object, PoolError, RecyclingMethod, TimeoutType, Timeouts,
};
use futures::SinkExt;
use tokio_postgres::{AsyncMessage, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::db::{Inner, Options};
use crate::dialect::Plan;
use crate::row::Columns;
use crate::{Error, Param, Result, Row};

pub(crate) use codec::error;
use codec::{Bound, Cell};
pub(crate) use connect::{Target, environment, target};
pub(crate) use export::Exported;
use home::AtHome;
pub(crate) use stay::stay;

/// The channel on which commits with outbox entries are told.
pub(crate) const CHANNEL: &str = "toji_outbox";

/// Bytes that a bulk load hands over at a time.
const COPY_PART: usize = 1 << 20;

/// Connections to one database.
pub(crate) struct Pool {
    pool: deadpool_postgres::Pool,
    tls: MakeRustlsConnect,
    begin: Begin,
}

/// How transactions begin: as PostgreSQL does it, or each at the moment that another one holds.
#[derive(Clone)]
struct Begin(Option<Arc<str>>);

impl Begin {
    fn text(&self) -> &str {
        self.0.as_deref().unwrap_or("BEGIN")
    }
}

impl Pool {
    /// Makes the pool and one connection, so that a wrong address is told at once.
    ///
    /// With the name of a moment that a transaction has exported, everything is read as it was then.
    pub(crate) async fn open(url: &str, options: &Options, moment: Option<&str>) -> Result<Pool> {
        let Target { config, tls, .. } = tuned(url)?;
        // Whether a connection is alive shows when it is used: a test on taking it costs a round trip.
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_connect(config, AtHome::new(tls.clone()), recycling);
        let timeouts = Timeouts {
            wait: Some(options.wait),
            create: Some(options.wait),
            recycle: Some(options.wait),
        };
        let pool = deadpool_postgres::Pool::builder(manager)
            .max_size(options.connections.max(1))
            .timeouts(timeouts)
            .runtime(deadpool_postgres::Runtime::Tokio1)
            .build()
            .map_err(|e| Error::Url(e.to_string()))?;
        let begin = Begin(moment.map(|name| export::begin_at(name).into()));
        let pool = Pool { pool, tls, begin };
        drop(take(&pool.pool).await?);
        Ok(pool)
    }

    /// Closes the connections and refuses further ones.
    pub(crate) fn close(&self) {
        self.pool.close();
    }

    /// Takes a connection.
    pub(crate) async fn session(&self) -> Result<Session> {
        let client = Some(take(&self.pool).await?);
        let (pool, tls) = (self.pool.clone(), self.tls.clone());
        let begin = self.begin.clone();
        Ok(Session { pool, tls, begin, client, begun: false, in_flight: false })
    }
}

async fn take(pool: &deadpool_postgres::Pool) -> Result<Object> {
    pool.get().await.map_err(|e| match e {
        PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle) => {
            Error::Lost("no connection in time".to_owned())
        }
        PoolError::Timeout(TimeoutType::Wait) => Error::Busy,
        PoolError::Backend(e) => error(e),
        other => Error::Lost(other.to_string()),
    })
}

/// What each connection asks of the server: no just-in-time compilation, which costs more than it gives for
/// statements of this size, and an end to what a vanished hub has left: its locks would hold up all others.
const SETTINGS: &str = "-c timezone=UTC -c jit=off -c tcp_keepalives_idle=15 -c tcp_keepalives_interval=5 \
                        -c tcp_keepalives_count=3 -c tcp_user_timeout=30000 \
                        -c idle_in_transaction_session_timeout=300000";
/// A server that does not even acknowledge a packet for this long is gone.
const VANISHED: Duration = Duration::from_secs(30);

/// The target of a URL, with the settings that statements here rely on.
fn tuned(url: &str) -> Result<Target> {
    let mut target = target(url)?;
    let config = &mut target.config;
    let given = config.get_options().map(|o| format!("{o} ")).unwrap_or_default();
    config.options(format!("{given}{SETTINGS}"));
    config.keepalives_idle(Duration::from_secs(15)).keepalives_interval(Duration::from_secs(5));
    config.keepalives_retries(3).tcp_user_timeout(VANISHED);
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(10));
    }
    Ok(target)
}

/// One transaction's connection.
pub(crate) struct Session {
    pool: deadpool_postgres::Pool,
    tls: MakeRustlsConnect,
    begin: Begin,
    client: Option<Object>,
    /// Whether BEGIN was sent and no end.
    begun: bool,
    /// Whether an answer is awaited; still set when the waiting future was dropped.
    in_flight: bool,
}

/// What a session is asked to do.
#[derive(Clone)]
enum Job<'a> {
    Batch(&'a str),
    Query(&'a Plan, &'a [Param]),
    Execute(&'a Plan, &'a [Param]),
    Copy(&'a str, Bytes),
}

impl Job<'_> {
    fn needs_transaction(&self) -> bool {
        match self {
            Job::Batch(_) | Job::Copy(..) => true,
            Job::Query(plan, _) | Job::Execute(plan, _) => plan.transactional,
        }
    }
}

/// What came of it.
enum Done {
    Rows(Vec<Row>),
    Count(u64),
}

impl Session {
    /// Runs statements without results or parameters.
    pub(crate) async fn batch(&mut self, sql: &str) -> Result<()> {
        self.run(Job::Batch(sql)).await.map(drop)
    }

    /// Ends the transaction with its effects; for one that only read, the answer is not awaited.
    pub(crate) async fn commit(&mut self, wrote: bool) -> Result<()> {
        if self.begun && wrote {
            self.run(Job::Batch("COMMIT")).await?;
            self.begun = false;
        }
        Ok(())
    }

    /// Runs a statement for its rows.
    pub(crate) async fn query(&mut self, plan: &Plan, params: &[Param]) -> Result<Vec<Row>> {
        match self.run(Job::Query(plan, params)).await? {
            Done::Rows(rows) => Ok(rows),
            Done::Count(_) => Ok(Vec::new()),
        }
    }

    /// Runs a statement for the number of rows it changes.
    pub(crate) async fn execute(&mut self, plan: &Plan, params: &[Param]) -> Result<u64> {
        match self.run(Job::Execute(plan, params)).await? {
            Done::Rows(rows) => Ok(rows.len() as u64),
            Done::Count(count) => Ok(count),
        }
    }

    /// Adds rows from CSV.
    pub(crate) async fn copy_csv(&mut self, table: &str, columns: &str, csv: Bytes) -> Result<u64> {
        let sql = format!("COPY {table} ({columns}) FROM STDIN (FORMAT csv, HEADER, NULL '\\N')");
        match self.run(Job::Copy(&sql, csv)).await? {
            Done::Rows(rows) => Ok(rows.len() as u64),
            Done::Count(count) => Ok(count),
        }
    }

    /// Whether the transaction has begun at the server.
    pub(crate) fn begun(&self) -> bool {
        self.begun
    }

    /// Does the job. The transaction's BEGIN goes ahead of the first statement that needs one, in the
    /// same packet: each statement sees its own snapshot anyway, so mere reading needs none.
    ///
    /// When a connection has died before that, another one is taken: nothing was done yet.
    async fn run(&mut self, job: Job<'_>) -> Result<Done> {
        let at_rest = !self.begun;
        let first = at_rest && (self.begin.0.is_some() || job.needs_transaction());
        self.begun |= first;
        let out = self.attempt(job.clone(), first).await;
        if at_rest && matches!(out, Err(Error::Lost(_))) {
            self.client = Some(take(&self.pool).await?);
            return self.attempt(job, first).await;
        }
        out
    }

    async fn attempt(&mut self, job: Job<'_>, begin: bool) -> Result<Done> {
        let client = self.client.as_ref().ok_or(Error::Aborted)?;
        self.in_flight = true;
        let out = if begin {
            let (begun, out) =
                tokio::join!(biased; client.batch_execute(self.begin.text()), perform(client, job));
            begun.map_err(error).and(out)
        } else {
            perform(client, job).await
        };
        self.in_flight = false;
        if matches!(out, Err(Error::Lost(_))) {
            // It must not get back into the pool.
            drop(self.client.take().map(Object::take));
        }
        out
    }
}

async fn perform(client: &Object, job: Job<'_>) -> Result<Done> {
    match job {
        Job::Batch(sql) => client.batch_execute(sql).await.map(|()| Done::Count(0)).map_err(error),
        Job::Query(plan, params) => {
            let stmt = prepare(client, plan, params).await?;
            let columns = columns(plan, &stmt);
            let rows = client.query(&stmt, &codec::refs(&bound(params))).await.map_err(error)?;
            rows.iter().map(|row| decode(row, &columns)).collect::<Result<_>>().map(Done::Rows)
        }
        Job::Execute(plan, params) => {
            let stmt = prepare(client, plan, params).await?;
            client
                .execute(&stmt, &codec::refs(&bound(params)))
                .await
                .map(Done::Count)
                .map_err(error)
        }
        Job::Copy(sql, mut data) => {
            let mut sink = pin!(client.copy_in::<_, Bytes>(sql).await.map_err(error)?);
            while !data.is_empty() {
                let part = data.split_to(data.len().min(COPY_PART));
                sink.send(part).await.map_err(error)?;
            }
            sink.finish().await.map(Done::Count).map_err(error)
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        if self.in_flight {
            // The statement may run for long: stop it, and let the connection end with it.
            let client = Object::take(client);
            let (cancel, tls) = (client.cancel_token(), self.tls.clone());
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move {
                    let _ = cancel.cancel_query(tls).await;
                    drop(client);
                });
            }
        } else if self.begun {
            // Sent, not awaited: whoever gets the connection next sends behind it.
            let mut rollback = pin!(client.batch_execute("ROLLBACK"));
            let _ = rollback.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
    }
}

async fn prepare(client: &Object, plan: &Plan, params: &[Param]) -> Result<Statement> {
    let stmt = client.prepare_cached(&plan.sql).await.map_err(error)?;
    if stmt.params().len() != params.len() {
        let (want, got) = (stmt.params().len(), params.len());
        return Err(Error::Statement(format!(
            "{want} parameters wanted, {got} given: {}",
            plan.sql
        )));
    }
    Ok(stmt)
}

fn bound(params: &[Param]) -> Vec<Bound<'_>> {
    params.iter().map(Bound).collect()
}

fn columns(plan: &Plan, stmt: &Statement) -> Arc<Columns> {
    let describe =
        || Columns::new(stmt.columns().iter().map(|c| (c.name(), crate::row::Kind::Plain)));
    let known = plan.columns.get_or_init(describe);
    if known.names.len() == stmt.columns().len() { known.clone() } else { describe() }
}

fn decode(row: &tokio_postgres::Row, columns: &Arc<Columns>) -> Result<Row> {
    let mut values = Vec::with_capacity(row.len());
    for (i, kind) in columns.kinds.iter().enumerate() {
        let Cell(value) = row.try_get(i).map_err(error)?;
        values.push(codec::as_kind(value, *kind)?);
    }
    Ok(Row { columns: columns.clone(), values })
}

/// Starts the task that hears of other programs' commits; it ends with the database handle.
pub(crate) fn listen(inner: &Arc<Inner>) {
    let weak = Arc::downgrade(inner);
    tokio::spawn(async move {
        let mut pause = Duration::from_millis(100);
        while let Some(inner) = weak.upgrade() {
            let url = inner.url.clone();
            drop(inner);
            match listen_once(&url, &weak).await {
                Ok(()) => pause = Duration::from_millis(100),
                Err(error) => tracing::warn!(%error, "not listening for other hubs' events"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(30));
        }
    });
}

/// Listens until the connection ends.
async fn listen_once(url: &str, inner: &Weak<Inner>) -> Result<()> {
    let Target { config, tls, .. } = tuned(url)?;
    let (client, mut connection) = config.connect(tls).await.map_err(error)?;
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let driver = tokio::spawn(async move {
        while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
            if matches!(message, AsyncMessage::Notification(_)) && tell.send(()).is_err() {
                return;
            }
        }
    });
    client.batch_execute(&format!("LISTEN {CHANNEL}")).await.map_err(error)?;
    // What happened before is not known: look once.
    let mut more = Some(());
    while more.is_some() {
        match inner.upgrade() {
            Some(inner) => inner.outbox.send_modify(|n| *n += 1),
            None => break,
        }
        more = tokio::select! {
            more = told.recv() => more,
            () = gone(inner) => None,
        };
    }
    driver.abort();
    Ok(())
}

/// Ends when the database handle is gone.
async fn gone(inner: &Weak<Inner>) {
    while inner.strong_count() > 0 {
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}
