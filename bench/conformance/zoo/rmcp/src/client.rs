use std::io::BufRead;
use std::time::Duration;

use rmcp::model::*;
use rmcp::service::{ClientLifecycleMode, ClientServiceExt, NotificationContext, RunningService};
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use rmcp::{ClientHandler, RoleClient};
use serde_json::{Value, from_value, json, to_value};

use crate::Failure;

fn say(key: &str, value: Value) {
    println!("{}", json!({key: value}));
}

struct Ears;

impl ClientHandler for Ears {
    async fn on_progress(&self, told: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        say("progress", json!(told.progress));
    }

    async fn on_logging_message(&self, told: LoggingMessageNotificationParam, _: NotificationContext<RoleClient>) {
        say("log", told.data);
    }
}

/// Connects, and answers questions until standard input ends.
pub async fn ask(over: &str, target: &[String]) -> Result<(), Failure> {
    let client = match connect(over, target).await {
        Ok(client) => client,
        Err(e) => {
            say("error", json!(e.to_string()));
            return Err(e);
        }
    };
    say("ok", json!(client.peer_info().map(|info| info.protocol_version.to_string())));
    for line in std::io::stdin().lock().lines() {
        let question: Value = serde_json::from_str(&line?)?;
        match tokio::time::timeout(Duration::from_secs(20), answer(&client, question)).await {
            Ok(Ok(answer)) => say("ok", answer),
            Ok(Err(e)) => say("error", json!(e.to_string())),
            Err(_) => say("error", json!("no answer within 20s")),
        }
    }
    Ok(())
}

async fn connect(over: &str, target: &[String]) -> Result<RunningService<RoleClient, Ears>, Failure> {
    let both = ClientLifecycleMode::Auto { preferred_versions: vec![ProtocolVersion::V_2026_07_28], legacy_version: None };
    if over == "http" {
        let transport = StreamableHttpClientTransport::from_uri(target[0].clone());
        return Ok(Ears.serve_with_lifecycle(transport, both).await?);
    }
    let mut command = tokio::process::Command::new(&target[0]);
    command.args(&target[1..]);
    Ok(Ears.serve_with_lifecycle(TokioChildProcess::new(command)?, both).await?)
}

/// Gives what the field is of every item of a list.
fn each(found: impl serde::Serialize, list: &str, field: &str) -> Result<Value, Failure> {
    let found = to_value(found)?;
    let items = found[list].as_array().cloned().unwrap_or_default();
    Ok(items.iter().map(|item| item[field].clone()).collect())
}

async fn answer(client: &RunningService<RoleClient, Ears>, question: Value) -> Result<Value, Failure> {
    let name = question["name"].clone();
    match question["do"].as_str().unwrap_or_default() {
        "level" => {
            client.set_level(SetLevelRequestParams::new(LoggingLevel::Info)).await?;
            Ok(json!(""))
        }
        "tools" => each(client.list_tools(None).await?, "tools", "name"),
        "resources" => each(client.list_resources(None).await?, "resources", "uri"),
        "prompts" => each(client.list_prompts(None).await?, "prompts", "name"),
        "read" => {
            let found = to_value(client.read_resource(from_value(json!({"uri": name}))?).await?)?;
            Ok(found["contents"][0]["text"].clone())
        }
        "prompt" => {
            let ask = from_value(json!({"name": name, "arguments": question["arguments"]}))?;
            let found = to_value(client.get_prompt(ask).await?)?;
            Ok(found["messages"][0]["content"]["text"].clone())
        }
        _ => {
            let mut call: CallToolRequestParams = from_value(json!({"name": name, "arguments": question["arguments"]}))?;
            if call.name.ends_with("log") {
                let mut meta = RequestMetaObject::default(); // in 2026-07-28 each request asks for messages
                meta.set_log_level(LoggingLevel::Info);
                call.meta = Some(meta);
            }
            let result = to_value(client.call_tool(call).await?)?;
            let text = result["content"][0]["text"].clone();
            if result["isError"] == json!(true) {
                return Err(text.to_string().into());
            }
            Ok(text)
        }
    }
}
