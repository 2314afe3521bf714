//! An alert posted as JSON.

use std::time::Duration;

use ureq::Agent;
use ureq::Error;
use ureq::Proxy;

/// Posts `document`; any answer of success means that it arrived. A redirection is not followed: what is sent goes where
/// the configuration says, or nowhere.
pub(super) fn post(
    url: &str,
    document: &str,
    believes_proxy: bool,
    patience: Duration,
) -> Result<(), String> {
    let proxy = if believes_proxy { Proxy::try_from_env() } else { None };
    let agent: Agent = Agent::config_builder()
        .timeout_global(Some(patience))
        .max_redirects(0)
        .http_status_as_error(false)
        .proxy(proxy)
        .user_agent(concat!("cmat/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let answer = agent.post(url).header("content-type", "application/json").send(document);
    match answer {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!("the address answered {}", answer.status().as_u16())),
        // The message of any other may hold the address, which is a secret.
        Err(Error::Io(fault)) => Err(format!("no connection: {fault}")),
        Err(Error::Timeout(_)) => Err(format!("no answer within {} s", patience.as_secs())),
        Err(Error::HostNotFound) => Err("the host of the address is not found".to_owned()),
        Err(Error::Rustls(fault)) => Err(format!("no safe connection: {fault}")),
        Err(_) => Err("the address cannot be asked".to_owned()),
    }
}
