// The Node openai SDK: chat, Responses, tools, schemas, embeddings. Started in the folder of its environment, with the
// name of the package to use as its argument; otherwise like the Python scripts (see harness.py).
"use strict";
const { createRequire } = require("node:module");
const { join } = require("node:path");

const packageName = process.argv[2];
const fromEnvironment = createRequire(join(process.cwd(), "package.json"));
const { OpenAI, APIError } = fromEnvironment(packageName);
const { version } = fromEnvironment(`./node_modules/${packageName}/package.json`);

const QUESTION = "How is the weather in Köln? 你好 🙂";
const MESSAGES = [
  { role: "system", content: "Be brief." },
  { role: "user", content: QUESTION },
];
const WEATHER = {
  name: "weather",
  description: "The weather in a city.",
  parameters: {
    type: "object",
    properties: { city: { type: "string" }, unit: { type: "string", enum: ["celsius", "kelvin"] } },
    required: ["city"],
  },
};
const CLOCK = { name: "clock", description: "The time now.", parameters: { type: "object", properties: {} } };
const RESULTS = { weather: "sunny, 21 °C", clock: "noon" };
const CHAT_TOOLS = [WEATHER, CLOCK].map((tool) => ({ type: "function", function: tool }));
const RESPONSE_TOOLS = [WEATHER, CLOCK].map((tool) => ({ type: "function", strict: false, ...tool }));
const PLAN = {
  type: "object",
  properties: { name: { type: "string" }, minutes: { type: "integer" }, done: { type: "boolean" } },
  required: ["name", "minutes", "done"],
  additionalProperties: false,
};

const client = (target) =>
  new OpenAI({ baseURL: `${target.origin}/v1`, apiKey: target.key, maxRetries: 0, timeout: 30000 });

function answer(text, calls, finish, usage) {
  const identifiers = calls.map((call) => call[0]);
  if (identifiers.some((each) => !each) || new Set(identifiers).size !== calls.length) {
    throw new Error(`calls without identifiers of their own: ${identifiers}`);
  }
  const seen = { text: text ?? "", finish, calls: calls.map(([, name, given]) => [name, JSON.parse(given)]) };
  return usage ? { ...seen, usage: { input: usage[0] > 0, output: usage[1] } } : seen;
}

function seenChat(completion) {
  const [choice] = completion.choices;
  const calls = (choice.message.tool_calls ?? []).map((call) => [call.id, call.function.name, call.function.arguments]);
  const { usage } = completion;
  return answer(choice.message.content, calls, choice.finish_reason, usage && [usage.prompt_tokens, usage.completion_tokens]);
}

function seenResponse(response) {
  const calls = response.output
    .filter((item) => item.type === "function_call")
    .map((item) => [item.call_id, item.name, item.arguments]);
  return answer(response.output_text, calls, response.status, [response.usage.input_tokens, response.usage.output_tokens]);
}

function afterChat(first) {
  const { message } = first.choices[0];
  const results = message.tool_calls.map((call) => ({
    role: "tool",
    tool_call_id: call.id,
    content: RESULTS[call.function.name],
  }));
  return [...MESSAGES, message, ...results];
}

function afterResponse(first) {
  const results = first.output
    .filter((item) => item.type === "function_call")
    .map((call) => ({ type: "function_call_output", call_id: call.call_id, output: RESULTS[call.name] }));
  return [{ role: "user", content: QUESTION }, ...first.output, ...results];
}

const steps = {
  async chat(target) {
    return seenChat(await client(target).chat.completions.create({ model: target.model, messages: MESSAGES }));
  },
  async chat_stream(target) {
    const stream = await client(target).chat.completions.create({
      model: target.model,
      messages: MESSAGES,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    const choices = chunks.flatMap((chunk) => chunk.choices);
    const text = choices.map((choice) => choice.delta.content ?? "").join("");
    const { usage } = chunks.at(-1);
    return answer(text, [], choices.at(-1).finish_reason, [usage.prompt_tokens, usage.completion_tokens]);
  },
  async chat_stream_helper(target) {
    const stream = client(target).chat.completions.stream({ model: target.model, messages: MESSAGES });
    return seenChat(await stream.finalChatCompletion());
  },
  async chat_tools(target) {
    const { completions } = client(target).chat;
    const first = await completions.create({ model: target.model, messages: MESSAGES, tools: CHAT_TOOLS });
    const second = await completions.create({ model: target.model, messages: afterChat(first), tools: CHAT_TOOLS });
    return [seenChat(first), seenChat(second)];
  },
  async chat_tools_streamed(target) {
    const { completions } = client(target).chat;
    const told = (messages) =>
      completions.stream({ model: target.model, messages, tools: CHAT_TOOLS }).finalChatCompletion();
    const first = await told(MESSAGES);
    return [seenChat(first), seenChat(await told(afterChat(first)))];
  },
  async chat_run_tools(target) {
    const asked = [];
    const run = (name) => (given) => (asked.push([name, given]), RESULTS[name]);
    const tools = [WEATHER, CLOCK].map((tool) => ({
      type: "function",
      function: { ...tool, parse: JSON.parse, function: run(tool.name) },
    }));
    const runner = client(target).chat.completions.runTools({ model: target.model, messages: MESSAGES, tools });
    return [await runner.finalContent(), asked];
  },
  async chat_schema(target) {
    const completion = await client(target).chat.completions.parse({
      model: target.model,
      messages: MESSAGES,
      response_format: { type: "json_schema", json_schema: { name: "plan", strict: true, schema: PLAN } },
    });
    return JSON.parse(completion.choices[0].message.content);
  },
  async responses(target) {
    return seenResponse(
      await client(target).responses.create({ model: target.model, input: QUESTION, instructions: "Be brief.", store: false }),
    );
  },
  async responses_stream(target) {
    const stream = client(target).responses.stream({ model: target.model, input: QUESTION, store: false });
    const kinds = new Set();
    for await (const event of stream) kinds.add(event.type);
    return [[...kinds].sort(), seenResponse(await stream.finalResponse())];
  },
  async responses_tools(target) {
    const { responses } = client(target);
    const ask = (input) => responses.create({ model: target.model, input, tools: RESPONSE_TOOLS, store: false });
    const first = await ask(QUESTION);
    return [seenResponse(first), seenResponse(await ask(afterResponse(first)))];
  },
  async embeddings(target) {
    const made = await client(target).embeddings.create({ model: target.embeds, input: ["one", "two", "one"] });
    const [one, two, again] = made.data.map((each) => JSON.stringify(each.embedding));
    return [made.data.length, one === again, one === two];
  },
  async unknown_model(target) {
    try {
      await client(target).chat.completions.create({
        model: "no/such/model;status=404;error-code=model_not_found",
        messages: MESSAGES,
      });
    } catch (error) {
      if (!(error instanceof APIError)) throw error;
      return [error.constructor.name, error.status, error.code];
    }
    return "answered";
  },
};

async function main() {
  let given = "";
  for await (const part of process.stdin) given += part;
  const results = {};
  for (const [name, target] of Object.entries(JSON.parse(given))) {
    results[name] = {};
    for (const [step, act] of Object.entries(steps)) {
      try {
        results[name][step] = await act(target);
      } catch (error) {
        process.stderr.write(`${error.stack}\n`);
        results[name][step] = { raised: String(error) };
      }
    }
  }
  process.stdout.write(JSON.stringify({ versions: { openai: version }, results }));
}

main();
