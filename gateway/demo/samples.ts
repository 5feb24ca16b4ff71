// Texts of the demo model.

export const demoHelp = `I am Sluice's demo model. I answer any prompt by repeating it. These words do more:

- \`markdown\`, \`table\` or \`code\`: an answer with headings, a table and a block of code
- \`think\`: some thinking before the answer
- \`make a plan\`: a list of tasks, and work on them
- \`run a command\`, \`edit a file\`: tools that ask for permission
- \`ask me something\`: a question with choices (say \`ask me\`)
- \`use a subagent\`: an agent that calls tools of its own
- \`fail\`: an error of the API

Lines that begin with \`demo:\` are steps, one answer each, in order:

| Step | What happens |
|---|---|
| \`demo:text <words>\` | these words |
| \`demo:long words=1000 rate=50\` | a long answer, \`rate\` deltas a second |
| \`demo:thinking <words>\` | thinking, then an answer |
| \`demo:markdown\` | the Markdown sample |
| \`demo:tool Bash {"command":"ls"}\` | a tool call |
| \`demo:tools [{"name":"Bash","input":{}}]\` | several calls in one message |
| \`demo:text It said: {{1.answer}}\` | \`{{1}}\` is what the first call was answered, \`{{1.answer}}\` a field of its JSON; in calls too |
| \`demo:error status=529 times=2\` | an API error, so many times |
| \`demo:cut after=3 rate=50\` | the stream breaks after so many deltas |
| \`demo:hang ms=60000\` | no answer for so long |
| \`demo:limit status=rejected claim=five_hour resets_in=3600\` | the account's limit, on every answer |
`;

export const markdownSample = `# A sample from the demo model

Some *emphasis*, some **strong words**, \`code\` and a [link](https://example.com/).

| Part | Language | Lines |
|:-----|:--------:|------:|
| gateway | TypeScript | 4200 |
| widget | Preact | 1900 |

1. First
   - nested
   - also nested
2. Second
   - [x] done
   - [ ] to do

\`\`\`ts
export function greet(name: string): string {
  return \`Hello, \${name}!\`;
}
\`\`\`

> This answer comes from Sluice's demo model: no account was used.
`;
