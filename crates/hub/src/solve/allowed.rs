//! Which URLs a caller may have the hub look at: what they answer is told, and the hub reaches more than its callers do.

use toji_db::external_repo;
use toji_value::{Fault, Value, map};

use crate::{Call, policy};

/// The policy that decides it.
const POLICY: &str = "solve_urls";

/// Fails unless the caller may ask about all of these repositories, given with their names.
///
/// # Errors
/// `ActionNotAllowed` for who is not logged in, and with the reason of the policy.
pub(super) async fn urls(call: &mut Call, urls: &[(String, String)]) -> Result<(), Fault> {
    let user = call.login()?.user_id;
    let known = external_repo::urls(&mut call.tx).await?;
    let listed = urls.iter().all(|(_, url)| known.iter().any(|known| is_at(known, url)));
    let asked: Vec<Value> = urls.iter().map(|(_, url)| url.as_str().into()).collect();
    let facts = map! { "user_id" => user, "urls" => asked, "known_urls" => listed };
    call.assert_policy(POLICY, &policy::data(&facts.into())?, false).await
}

/// Whether a URL is that of an external repository, for some arch.
fn is_at(known: &str, url: &str) -> bool {
    let (known, url) = (known.trim_end_matches('/'), url.trim_end_matches('/'));
    let Some((before, after)) = known.split_once("$arch") else { return known == url };
    let Some(rest) = url.strip_prefix(before) else { return false };
    let length = rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    let (arch, rest) = rest.split_at(length);
    !arch.is_empty() && after.replace("$arch", arch) == rest
}

#[cfg(test)]
mod tests {
    use super::is_at;

    #[test]
    fn an_arch_is_one_word() {
        let known = "https://mirror.example/f40/$arch/os/";
        assert!(is_at(known, "https://mirror.example/f40/x86_64/os"));
        assert!(is_at("https://mirror.example/r", "https://mirror.example/r/"));
        assert!(is_at("https://m.example/$arch/b-$arch", "https://m.example/s390x/b-s390x"));
        for url in [
            "https://mirror.example/f40/x86_64",
            "https://mirror.example/f40//os",
            "https://mirror.example/f40/../../os",
            "https://mirror.example/f40/x86_64/os/more",
            "https://mirror.example/f40/a%2f..%2fb/os",
            "https://mirror.example.org/f40/x86_64/os",
        ] {
            assert!(!is_at(known, url), "{url}");
        }
        assert!(!is_at("https://m.example/$arch/b-$arch", "https://m.example/s390x/b-x86_64"));
        assert!(!is_at("https://mirror.example/r", "https://mirror.example/r2"));
    }
}
