//! Shapes of a transcript's lines: the keys that cmat reads, under the names that Claude Code writes.
//!
//! They only name what stands there. What it means is decided in `request` and `tail`.

use super::json::Leaf;
use super::json::List;
use super::json::Object;
use super::json::Prompt;
use super::json::Spelled;
use super::json::shape;

shape! {
    /// A line that may hold the usage of a request.
    Entry {
        kind: Leaf<'line> = b"type",
        session: Leaf<'line> = b"sessionId",
        is_sidechain: Leaf<'line> = b"isSidechain",
        branch: Leaf<'line> = b"gitBranch",
        cwd: Leaf<'line> = b"cwd",
        version: Leaf<'line> = b"version",
        agent_id: Leaf<'line> = b"agentId",
        attribution_agent: Leaf<'line> = b"attributionAgent",
        agent_name: Leaf<'line> = b"agentName",
        skill: Leaf<'line> = b"attributionSkill",
        mcp_server: Leaf<'line> = b"attributionMcpServer",
        progress: Object<Progress<'line>> = b"data",
        ..answer: Answer<'line>
    }
}

shape! {
    /// What an `assistant` line says of an answer, and the copy of it in a `progress` line.
    Answer {
        timestamp: Leaf<'line> = b"timestamp",
        uuid: Leaf<'line> = b"uuid",
        request_id: Leaf<'line> = b"requestId",
        request_session: Leaf<'line> = b"requestSessionId",
        requested_model: Leaf<'line> = b"requestedModel",
        is_api_error: Leaf<'line> = b"isApiErrorMessage",
        message: Object<Message<'line>> = b"message",
    }
}

shape! {
    /// `data` of a `progress` line.
    Progress {
        agent_id: Leaf<'line> = b"agentId",
        answer: Object<Answer<'line>> = b"message",
    }
}

shape! {
    /// `message`: the API's answer.
    Message {
        id: Leaf<'line> = b"id",
        model: Leaf<'line> = b"model",
        stop_reason: Leaf<'line> = b"stop_reason",
        content: Leaf<'line> = b"content",
        usage: Object<Usage<'line>> = b"usage",
    }
}

shape! {
    /// `message.usage`.
    Usage {
        speed: Leaf<'line> = b"speed",
        service_tier: Leaf<'line> = b"service_tier",
        inference_geo: Leaf<'line> = b"inference_geo",
        server_tool_use: Object<ServerToolUse<'line>> = b"server_tool_use",
        iterations: List<Object<Step<'line>>> = b"iterations",
        ..counts: Counts<'line>
    }
}

shape! {
    /// An entry of `message.usage.iterations`.
    Step {
        kind: Leaf<'line> = b"type",
        model: Leaf<'line> = b"model",
        ..counts: Counts<'line>
    }
}

shape! {
    /// The token counts of a request or of a step of it.
    Counts {
        input: Spelled<'line> = b"input_tokens",
        output: Spelled<'line> = b"output_tokens",
        cache_read: Spelled<'line> = b"cache_read_input_tokens",
        cache_write: Spelled<'line> = b"cache_creation_input_tokens",
        split: Object<CacheWrites<'line>> = b"cache_creation",
    }
}

shape! {
    /// `cache_creation`: cache writes by how long they are kept.
    CacheWrites {
        five_minutes: Spelled<'line> = b"ephemeral_5m_input_tokens",
        one_hour: Spelled<'line> = b"ephemeral_1h_input_tokens",
    }
}

shape! {
    /// `server_tool_use`.
    ServerToolUse {
        web_search_requests: Spelled<'line> = b"web_search_requests",
    }
}

shape! {
    /// A line as far as it tells whether a request is under way.
    Turn {
        kind: Leaf<'line> = b"type",
        is_meta: Leaf<'line> = b"isMeta",
        is_compact_summary: Leaf<'line> = b"isCompactSummary",
        is_api_error: Leaf<'line> = b"isApiErrorMessage",
        message: Object<Said<'line>> = b"message",
        attachment: Object<Attachment<'line>> = b"attachment",
    }
}

shape! {
    /// `message` of a [`Turn`].
    Said {
        model: Leaf<'line> = b"model",
        content: Prompt<'line> = b"content",
        usage: Object<Usage<'line>> = b"usage",
    }
}

shape! {
    /// `attachment` of a [`Turn`].
    Attachment {
        kind: Leaf<'line> = b"type",
    }
}

shape! {
    /// A line as far as it tells whose it is.
    Own {
        session: Leaf<'line> = b"sessionId",
        timestamp: Leaf<'line> = b"timestamp",
        uuid: Leaf<'line> = b"uuid",
    }
}
