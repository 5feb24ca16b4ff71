// What the widget says. A page can put any of these in its own words; `{name}` stands for a value. The English ones stand with the code that
// says them: these here with the conversation itself.

export interface Texts extends BaseTexts, ToolTexts, MoreTexts {}

/** The panel, the conversation, problems by their code. */
export interface BaseTexts {
  title: string;
  open: string;
  close: string;
  menu: string;
  greeting: string;
  placeholder: string;
  conversation: string;
  you: string;
  assistant: string;
  connecting: string;
  reconnecting: string;
  offline: string;
  signed_out: string;
  forbidden: string;
  gone: string;
  reconnect: string;
  loading: string;
  send: string;
  stop: string;
  context: string;
  message: string;
  copy: string;
  copied: string;
  retry: string;
  edit: string;
  cancel: string;
  latest: string;
  latest_count: string;
  not_sent: string;
  discard: string;
  image: string;
  task: string;
  attachment: string;
  other_block: string;
  interrupted: string;
  working: string;
  thinking: string;
  thought: string;
  new_session: string;
  sessions: string;
  waiting: string;
  answered_unseen: string;
}

/** Tool calls, approvals, questions. */
export interface ToolTexts {
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
  approve_run: string;
  approve_write: string;
  approve_edit: string;
  approve_read: string;
  approve_fetch: string;
  approve_plan: string;
  approve_other: string;
  allow: string;
  allow_session: string;
  allow_session_run: string;
  asked_for: string;
  read_first: string;
  model_says: string;
  deny: string;
  reason: string;
  back: string;
  time_left: string;
  allowed: string;
  allowed_session: string;
  answered: string;
  denied: string;
  denied_timeout: string;
  decided_elsewhere: string;
  question: string;
  other_answer: string;
  answer: string;
  skip: string;
}

/** What can be done with an answer, images, the menu, the list of conversations; and what is said to screen readers alone. */
export interface MoreTexts {
  older: string;
  dismiss: string;
  problem: string;
  gateway_restarted: string;
  silence_timeout: string;
  turn_timeout: string;
  api_error: string;
  overloaded: string;
  not_logged_in: string;
  unsupported_media_type: string;
  payload_too_large: string;
  no_capacity: string;
  queue_full: string;
  rate_limited: string;
  too_many_requests: string;
  busy: string;
  unreachable: string;
  no_token: string;
  resets_at: string;
  limit_near: string;
  limited: string;
  retrying: string;
  failed: string;
  stopped_by: string;
  stopped: string;
  queued: string;
  queued_next: string;
  starting: string;
  resend: string;
  copy_answer: string;
  good: string;
  bad: string;
  details: string;
  edit_hint: string;
  tokens: string;
  cost: string;
  duration: string;
  model: string;
  add_image: string;
  remove_image: string;
  uploading: string;
  upload_failed: string;
  drop_images: string;
  search_sessions: string;
  no_sessions: string;
  more: string;
  rename: string;
  save: string;
  untitled: string;
  export_md: string;
  export_json: string;
  usage: string;
  answer_begins: string;
  answer_done: string;
  answer_long: string;
}

export const english: BaseTexts = {
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
  reconnecting: "Reconnecting …",
  offline: "Offline",
  signed_out: "You are signed out",
  forbidden: "You may not see this conversation",
  gone: "This conversation is gone",
  reconnect: "Try again",
  loading: "Loading …",
  send: "Send",
  stop: "Stop",
  context: "Sent along",
  message: "Message",
  copy: "Copy",
  copied: "Copied",
  retry: "Try again",
  edit: "Edit",
  cancel: "Cancel",
  latest: "Jump to latest",
  latest_count: "Jump to latest ({count})",
  not_sent: "Not sent",
  discard: "Discard",
  image: "Image",
  task: "Task",
  attachment: "Attachment",
  other_block: "Something this chat cannot show",
  interrupted: "Interrupted",
  working: "Working …",
  thinking: "Thinking …",
  thought: "Thoughts",
  new_session: "New conversation",
  sessions: "Conversations",
  waiting: "Waiting for you",
  answered_unseen: "New answer",
};
