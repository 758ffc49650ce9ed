use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rmcp::model::*;
use serde::de::DeserializeOwned;
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt};
use serde_json::{Value, from_value, json};

use crate::Failure;

/// The server of one session.
#[derive(Clone, Default)]
struct Animals {
    count: Arc<AtomicU64>,
}

/// Makes a result of its JSON, as the specification writes it.
fn result<T: DeserializeOwned>(of: Value) -> Result<T, ErrorData> {
    from_value(of).map_err(|e| ErrorData::internal_error(e.to_string(), None))
}

impl ServerHandler for Animals {
    fn get_info(&self) -> ServerConfig {
        let all = ServerCapabilities::builder().enable_tools().enable_prompts().enable_resources().enable_logging().build();
        ServerConfig::new(all).with_server_info(Implementation::new("zoo", "1"))
    }

    async fn set_level(&self, _: SetLevelRequestParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn list_tools(&self, _: Option<PaginatedRequestParams>, _: RequestContext<RoleServer>) -> Result<ListToolsResult, ErrorData> {
        let tools = ["echo", "pid", "counter", "slow", "log"].map(|name| json!({"name": name, "inputSchema": {"type": "object"}}));
        result(json!({"tools": tools}))
    }

    async fn call_tool(&self, call: CallToolRequestParams, context: RequestContext<RoleServer>) -> Result<CallToolResponse, ErrorData> {
        let arguments = Value::Object(call.arguments.unwrap_or_default());
        let text = match call.name.as_ref() {
            "echo" => arguments["text"].as_str().unwrap_or_default().to_string(),
            "pid" => std::process::id().to_string(),
            "counter" => (self.count.fetch_add(1, Ordering::Relaxed) + 1).to_string(),
            "slow" => {
                for step in 1..=3 {
                    if let Some(token) = context.meta.get_progress_token() {
                        let _ = context.peer.notify_progress(ProgressNotificationParam::new(token, step as f64).with_total(3.0)).await;
                    }
                    tokio::time::sleep(Duration::from_millis(arguments["ms"].as_u64().unwrap_or_default()) / 3).await;
                }
                "done".to_string()
            }
            "log" => {
                let _ = context.peer.notify_logging_message(LoggingMessageNotificationParam::new(LoggingLevel::Info, arguments["text"].clone())).await;
                "logged".to_string()
            }
            other => return Err(ErrorData::invalid_params(format!("unknown tool {other}"), None)),
        };
        Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
    }

    async fn list_resources(&self, _: Option<PaginatedRequestParams>, _: RequestContext<RoleServer>) -> Result<ListResourcesResult, ErrorData> {
        result(json!({"resources": [{"uri": "zoo://animal", "name": "animal"}]}))
    }

    async fn read_resource(&self, ask: ReadResourceRequestParams, _: RequestContext<RoleServer>) -> Result<ReadResourceResponse, ErrorData> {
        Ok(ReadResourceResult::new(vec![ResourceContents::text("a zebra", ask.uri)]).into())
    }

    async fn list_prompts(&self, _: Option<PaginatedRequestParams>, _: RequestContext<RoleServer>) -> Result<ListPromptsResult, ErrorData> {
        result(json!({"prompts": [{"name": "greet", "arguments": [{"name": "name"}]}]}))
    }

    async fn get_prompt(&self, ask: GetPromptRequestParams, _: RequestContext<RoleServer>) -> Result<GetPromptResponse, ErrorData> {
        let arguments = Value::Object(ask.arguments.unwrap_or_default());
        let text = format!("Greet {}.", arguments["name"].as_str().unwrap_or_default());
        Ok(GetPromptResult::new(vec![PromptMessage::new_text(Role::User, text)]).into())
    }
}

pub async fn serve(over: &str, address: Option<&String>) -> Result<(), Failure> {
    if over == "stdio" {
        Animals::default().serve(rmcp::transport::stdio()).await?.waiting().await?;
        return Ok(());
    }
    let mut sessions = LocalSessionManager::default();
    // Without it sessions last for minutes.
    if let Ok(idle) = std::env::var("ZOO_IDLE") {
        sessions.session_config.keep_alive = Some(Duration::from_secs_f64(idle.parse()?));
    }
    let service = StreamableHttpService::new(|| Ok(Animals::default()), Arc::new(sessions), StreamableHttpServerConfig::default());
    let listener = tokio::net::TcpListener::bind(address.expect("an address")).await?;
    axum::serve(listener, axum::Router::new().nest_service("/mcp", service)).await?;
    Ok(())
}
