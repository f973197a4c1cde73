//! Who looks on while garbage is collected: prints or logs decisions, sends messages, ends at a signal.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use toji_builder::{MailLetter, MailServer};
use toji_hub::gc::{Finding, Notice, Sending, Verdict, Watch};
use tokio_util::sync::CancellationToken;

/// The onlooker.
pub(crate) struct Post {
    server: MailServer,
    stop: Arc<AtomicBool>,
    /// Whether what stays is told, too.
    pub(crate) verbose: bool,
    /// Whether decisions go to the log instead of standard output.
    pub(crate) logs: bool,
}

impl Post {
    pub(crate) fn new(server: MailServer) -> Self {
        Post { server, stop: Arc::default(), verbose: false, logs: false }
    }

    /// Ends the run at SIGTERM or Ctrl-C, between two changes.
    pub(crate) fn watch_signals(&self) {
        let token = CancellationToken::new();
        tokio::spawn(crate::parts::wait_for_signal(token.clone()));
        self.end_with(token);
    }

    /// Ends the run, between two changes, when `stop` is cancelled.
    pub(crate) fn end_with(&self, stop: CancellationToken) {
        let flag = self.stop.clone();
        tokio::spawn(async move {
            stop.cancelled().await;
            flag.store(true, Ordering::Relaxed);
        });
    }
}

impl Watch for Post {
    fn tell(&self, finding: &Finding) {
        if finding.verdict == Verdict::Keep && !self.verbose {
            return;
        }
        if self.logs {
            tracing::info!("garbage: {finding}");
            return;
        }
        // whoever reads may have gone, which is no reason to stop
        let _ = writeln!(std::io::stdout(), "{finding}");
    }

    fn post<'a>(&'a self, notice: &'a Notice) -> Sending<'a> {
        Box::pin(async move {
            let mut letter = MailLetter {
                from: notice.from.clone(),
                to: vec![notice.to.clone()],
                cc: notice.cc.clone(),
                bcc: notice.bcc.clone(),
                subject: notice.subject.clone(),
                text: notice.text.clone(),
                headers: Vec::new(),
            };
            letter.header("X-Koji-Builder", &notice.owner);
            self.server.send(&letter).await.map(drop).map_err(|error| error.to_string())
        })
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
