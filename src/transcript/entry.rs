//! Shapes of a transcript's lines: the keys that cmat reads, under the names that Claude Code writes.
//!
//! They only name what stands there. What it means is decided in `request` and `tail`.

use serde_json::value::RawValue;

use super::json::Leaf;
use super::json::List;
use super::json::Object;
use super::json::Prompt;
use super::json::shape;

/// A value as the line spells it, to be a number; `None` if it is missing or `null`.
pub(super) type Number<'line> = Option<&'line RawValue>;

shape! {
    /// A line that may hold the usage of a request.
    Entry {
        kind: Leaf<'line> = "type",
        session: Leaf<'line> = "sessionId",
        is_sidechain: Leaf<'line> = "isSidechain",
        branch: Leaf<'line> = "gitBranch",
        cwd: Leaf<'line> = "cwd",
        version: Leaf<'line> = "version",
        agent_id: Leaf<'line> = "agentId",
        attribution_agent: Leaf<'line> = "attributionAgent",
        agent_name: Leaf<'line> = "agentName",
        skill: Leaf<'line> = "attributionSkill",
        mcp_server: Leaf<'line> = "attributionMcpServer",
        progress: Object<Progress<'line>> = "data",
        ..answer: Answer<'line>
    }
}

shape! {
    /// What an `assistant` line says of an answer, and the copy of it in a `progress` line.
    Answer {
        timestamp: Leaf<'line> = "timestamp",
        uuid: Leaf<'line> = "uuid",
        request_id: Leaf<'line> = "requestId",
        request_session: Leaf<'line> = "requestSessionId",
        requested_model: Leaf<'line> = "requestedModel",
        is_api_error: Leaf<'line> = "isApiErrorMessage",
        message: Object<Message<'line>> = "message",
    }
}

shape! {
    /// `data` of a `progress` line.
    Progress {
        agent_id: Leaf<'line> = "agentId",
        answer: Object<Answer<'line>> = "message",
    }
}

shape! {
    /// `message`: the API's answer.
    Message {
        id: Leaf<'line> = "id",
        model: Leaf<'line> = "model",
        stop_reason: Leaf<'line> = "stop_reason",
        content: Leaf<'line> = "content",
        usage: Object<Usage<'line>> = "usage",
    }
}

shape! {
    /// `message.usage`.
    Usage {
        speed: Leaf<'line> = "speed",
        service_tier: Leaf<'line> = "service_tier",
        inference_geo: Leaf<'line> = "inference_geo",
        server_tool_use: Object<ServerToolUse<'line>> = "server_tool_use",
        iterations: List<Object<Step<'line>>> = "iterations",
        ..counts: Counts<'line>
    }
}

shape! {
    /// An entry of `message.usage.iterations`.
    Step {
        kind: Leaf<'line> = "type",
        model: Leaf<'line> = "model",
        ..counts: Counts<'line>
    }
}

shape! {
    /// The token counts of a request or of a step of it.
    Counts {
        input: Number<'line> = "input_tokens",
        output: Number<'line> = "output_tokens",
        cache_read: Number<'line> = "cache_read_input_tokens",
        cache_write: Number<'line> = "cache_creation_input_tokens",
        split: Object<CacheWrites<'line>> = "cache_creation",
    }
}

shape! {
    /// `cache_creation`: cache writes by how long they are kept.
    CacheWrites {
        five_minutes: Number<'line> = "ephemeral_5m_input_tokens",
        one_hour: Number<'line> = "ephemeral_1h_input_tokens",
    }
}

shape! {
    /// `server_tool_use`.
    ServerToolUse {
        web_search_requests: Number<'line> = "web_search_requests",
    }
}

shape! {
    /// A line as far as it tells whether a request is under way.
    Turn {
        kind: Leaf<'line> = "type",
        is_meta: Leaf<'line> = "isMeta",
        is_compact_summary: Leaf<'line> = "isCompactSummary",
        is_api_error: Leaf<'line> = "isApiErrorMessage",
        message: Object<Said<'line>> = "message",
        attachment: Object<Attachment<'line>> = "attachment",
    }
}

shape! {
    /// `message` of a [`Turn`].
    Said {
        model: Leaf<'line> = "model",
        content: Prompt<'line> = "content",
        usage: Object<Usage<'line>> = "usage",
    }
}

shape! {
    /// `attachment` of a [`Turn`].
    Attachment {
        kind: Leaf<'line> = "type",
    }
}

shape! {
    /// A line as far as it tells whose it is.
    Own {
        session: Leaf<'line> = "sessionId",
        timestamp: Leaf<'line> = "timestamp",
        uuid: Leaf<'line> = "uuid",
    }
}
