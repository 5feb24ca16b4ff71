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
  starting: string;
  working: string;
  queued_next: string;
  queued: string;
  stopped: string;
  stopped_by: string;
  failed: string;
  retrying: string;
  limited: string;
  limit_near: string;
  resets_at: string;
  thinking: string;
  thought: string;
  new_session: string;
  sessions: string;
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
  waiting: string;
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
  retrying: "The model does not answer; trying again ({attempt} of {max})",
  limited: "Limit reached",
  limit_near: "Limit almost reached",
  resets_at: "resets at {time}",
  thinking: "Thinking …",
  thought: "Thoughts",
  new_session: "New conversation",
  sessions: "Conversations",
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
  waiting: "Waiting for you",
};
