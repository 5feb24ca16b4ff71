// What the widget says. A page can put any of these in its own words; `{name}` stands for a value.

export interface Texts {
  // The frame.
  title: string;
  open: string;
  close: string;
  menu: string;
  greeting: string;
  placeholder: string;
  conversation: string;
  you: string;
  assistant: string;

  // The connection.
  connecting: string;
  live: string;
  reconnecting: string;
  offline: string;
  signed_out: string;
  forbidden: string;
  gone: string;
  reconnect: string;
  loading: string;

  // Writing.
  send: string;
  stop: string;
  add_image: string;
  remove_image: string;
  uploading: string;
  upload_failed: string;
  drop_images: string;
  context: string;
  remove_context: string;
  message: string;

  // Messages.
  copy: string;
  copied: string;
  copy_answer: string;
  retry: string;
  edit: string;
  edit_hint: string;
  cancel: string;
  good: string;
  bad: string;
  details: string;
  older: string;
  latest: string;
  latest_count: string;
  not_sent: string;
  resend: string;
  discard: string;
  image: string;
  attachment: string;
  other_block: string;
  interrupted: string;

  // Turns.
  starting: string;
  working: string;
  queued_next: string;
  queued: string;
  stopped: string;
  stopped_by: string;
  failed: string;
  tokens: string;
  cost: string;
  duration: string;
  model: string;
  retrying: string;
  limited: string;
  limit_near: string;
  resets_at: string;

  // Thinking and tools.
  thinking: string;
  thought: string;
  tool_pending: string;
  tool_running: string;
  tool_waiting: string;
  tool_done: string;
  tool_denied: string;
  tool_failed: string;
  tool_stopped: string;
  tool_run: string;
  tool_read: string;
  tool_write: string;
  tool_edit: string;
  tool_search: string;
  tool_fetch: string;
  tool_agent: string;
  tool_todo: string;
  tool_ask: string;
  tool_plan: string;
  tool_other: string;
  input: string;
  output: string;
  no_output: string;
  large_output: string;
  save_output: string;
  progress: string;

  // Approvals and questions.
  approve_run: string;
  approve_write: string;
  approve_edit: string;
  approve_read: string;
  approve_fetch: string;
  approve_plan: string;
  approve_other: string;
  allow: string;
  allow_session: string;
  deny: string;
  reason: string;
  back: string;
  time_left: string;
  allowed: string;
  allowed_session: string;
  denied: string;
  denied_timeout: string;
  decided_elsewhere: string;
  raw: string;
  question: string;
  other_answer: string;
  answer: string;
  skip: string;

  // Sessions.
  new_session: string;
  sessions: string;
  search_sessions: string;
  no_sessions: string;
  more: string;
  rename: string;
  save: string;
  untitled: string;
  export_md: string;
  export_json: string;
  usage: string;

  // Said to screen readers alone.
  answer_begins: string;
  answer_done: string;
  answer_long: string;

  // Problems, by their code.
  unreachable: string;
  busy: string;
  too_many_requests: string;
  rate_limited: string;
  queue_full: string;
  no_capacity: string;
  payload_too_large: string;
  unsupported_media_type: string;
  not_logged_in: string;
  overloaded: string;
  api_error: string;
  turn_timeout: string;
  silence_timeout: string;
  gateway_restarted: string;
  problem: string;
  dismiss: string;
}

export const english: Texts = {
  title: "Assistant",
  open: "Open chat",
  close: "Close",
  menu: "More",
  greeting: "How can I help?",
  placeholder: "Ask anything",
  conversation: "Conversation",
  you: "You",
  assistant: "Assistant",

  connecting: "Connecting …",
  live: "Live",
  reconnecting: "Reconnecting …",
  offline: "Offline",
  signed_out: "You are signed out",
  forbidden: "You may not see this conversation",
  gone: "This conversation is gone",
  reconnect: "Try again",
  loading: "Loading …",

  send: "Send",
  stop: "Stop",
  add_image: "Add an image",
  remove_image: "Remove {name}",
  uploading: "uploading",
  upload_failed: "not uploaded",
  drop_images: "Drop images here",
  context: "Sent along",
  remove_context: "Do not send this along",
  message: "Message",

  copy: "Copy",
  copied: "Copied",
  copy_answer: "Copy answer",
  retry: "Try again",
  edit: "Edit",
  edit_hint: "Goes on in a copy of this conversation",
  cancel: "Cancel",
  good: "Good answer",
  bad: "Bad answer",
  details: "Details",
  older: "Show older messages",
  latest: "Jump to latest",
  latest_count: "Jump to latest ({count})",
  not_sent: "Not sent",
  resend: "Send again",
  discard: "Discard",
  image: "Image",
  attachment: "Attachment",
  other_block: "Something this chat cannot show",
  interrupted: "Interrupted",

  starting: "Starting …",
  working: "Working …",
  queued_next: "Waiting in line: next",
  queued: "Waiting in line: {position}",
  stopped: "Stopped",
  stopped_by: "Stopped by {who}",
  failed: "This did not work",
  tokens: "{input} tokens in, {output} out",
  cost: "{cost} reported",
  duration: "{time}",
  model: "{model}",
  retrying: "The model does not answer; trying again ({attempt} of {max})",
  limited: "Limit reached",
  limit_near: "Limit almost reached",
  resets_at: "resets at {time}",

  thinking: "Thinking …",
  thought: "Thoughts",
  tool_pending: "preparing",
  tool_running: "running",
  tool_waiting: "waiting for you",
  tool_done: "done",
  tool_denied: "denied",
  tool_failed: "failed",
  tool_stopped: "stopped",
  tool_run: "Run",
  tool_read: "Read",
  tool_write: "Write",
  tool_edit: "Edit",
  tool_search: "Search",
  tool_fetch: "Fetch",
  tool_agent: "Agent",
  tool_todo: "Tasks",
  tool_ask: "Question",
  tool_plan: "Plan",
  tool_other: "Use {tool}",
  input: "Input",
  output: "Output",
  no_output: "No output",
  large_output: "Show the whole output",
  save_output: "Download the whole output",
  progress: "{done} of {all} done",

  approve_run: "May this command run?",
  approve_write: "May this file be written?",
  approve_edit: "May this file be changed?",
  approve_read: "May this be read?",
  approve_fetch: "May this address be fetched?",
  approve_plan: "Shall this plan be carried out?",
  approve_other: "May {tool} be used?",
  allow: "Allow",
  allow_session: "Allow for this session",
  deny: "Deny",
  reason: "Why not? (optional)",
  back: "Back",
  time_left: "{time} left to decide",
  allowed: "Allowed by {who}",
  allowed_session: "Allowed for this session by {who}",
  denied: "Denied by {who}",
  denied_timeout: "Denied: nobody decided in time",
  decided_elsewhere: "elsewhere",
  raw: "Exactly",
  question: "A question for you",
  other_answer: "Something else",
  answer: "Answer",
  skip: "Do not answer",

  new_session: "New conversation",
  sessions: "Conversations",
  search_sessions: "Search",
  no_sessions: "Nothing here",
  more: "Show more",
  rename: "Rename",
  save: "Save",
  untitled: "Untitled",
  export_md: "Download as Markdown",
  export_json: "Download as JSON",
  usage: "{turns} answers, {tokens} tokens, {cost} reported",

  answer_begins: "Answering",
  answer_done: "Answer: {text}",
  answer_long: "Answer complete, {count} words",

  unreachable: "The service cannot be reached",
  busy: "An answer is under way already",
  too_many_requests: "Too much at once. Wait a moment, then try again",
  rate_limited: "Limit reached",
  queue_full: "Too many are waiting. Try again later",
  no_capacity: "The service is at its limits. Try again later",
  payload_too_large: "This is too large",
  unsupported_media_type: "Files of this kind cannot be sent",
  not_logged_in: "The service is not signed in to its model",
  overloaded: "The model is overloaded",
  api_error: "The model does not answer",
  turn_timeout: "This took too long",
  silence_timeout: "Nothing was heard for too long",
  gateway_restarted: "The service was restarted",
  problem: "Something went wrong",
  dismiss: "Dismiss",
};
