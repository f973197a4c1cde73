//! Settings of a client, with the stock client's names and defaults where it has them.

use std::time::Duration;

/// How a [`crate::Client`] behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where files are published; by default the hub's URL with `/kojifiles` for `/kojihub`.
    pub topurl: Option<String>,
    /// Where the web UI is; by default the hub's URL with `/koji` for `/kojihub`.
    pub weburl: Option<String>,
    /// The name of the profile that these settings come from; names are cached by it.
    pub profile: Option<String>,
    /// How long a call may take.
    pub timeout: Duration,
    /// How long a login may take.
    pub auth_timeout: Duration,
    /// How long a connection attempt may take.
    pub connect_timeout: Duration,
    /// How often a failed connection is tried again.
    pub max_retries: u32,
    /// How often a failed download is tried again at most: a server of files may be gone for good.
    pub download_retries: u32,
    /// The pause between retries; the first one comes at once.
    pub retry_interval: Duration,
    /// Whether calls without a login are retried too.
    pub anon_retry: bool,
    /// Whether to wait while the hub says that it is offline.
    pub offline_retry: bool,
    /// The pause before asking an offline hub again.
    pub offline_retry_interval: Duration,
    /// The pause between looks at something that is waited for, where the hub tells nothing by itself.
    pub poll_interval: Duration,
    /// The certificate authorities to trust instead of the system's, as PEM text.
    pub serverca: Option<Vec<u8>>,
    /// Whether to trust any server, whatever its certificate says.
    pub no_ssl_verify: bool,
    /// The certificate that the client shows, with its key, as PEM text.
    pub cert: Option<Vec<u8>>,
    /// Size of the pieces of an upload in bytes.
    pub upload_blocksize: usize,
    /// Where names are cached; by default `$XDG_CACHE_HOME/toji` or `~/.cache/toji`.
    pub cache: Option<std::path::PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            topurl: None,
            weburl: None,
            profile: None,
            timeout: Duration::from_secs(12 * 3600),
            auth_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(60),
            max_retries: 30,
            download_retries: 30,
            retry_interval: Duration::from_secs(20),
            anon_retry: true,
            offline_retry: false,
            offline_retry_interval: Duration::from_secs(20),
            poll_interval: Duration::from_secs(6),
            serverca: None,
            no_ssl_verify: false,
            cert: None,
            upload_blocksize: 1 << 20,
            cache: None,
        }
    }
}
