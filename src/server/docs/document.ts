/** The server's surfaces as an OpenAPI 3.1 document, made from the tables that parse its requests. */
import type { RequestContext } from "../../engine/request.ts";
import { version } from "../../engine/version.ts";
import { fileFormats, formats, mediaTypes } from "../delivery.ts";
import { requestProperties, type Schema, schemas } from "./schemas.ts";

/** One way to ask at a path. */
interface Operation {
  summary: string;
  tags: string[];
  parameters?: Schema[];
  requestBody?: Schema;
  responses: Record<string, Schema>;
}

const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });
const json = (name: string): Schema => ({ "application/json": { schema: ref(name) } });
const answered = (description: string, content?: Schema): Schema => ({ description, ...(content && { content }) });
const body = (name: string, ...types: string[]): Schema => ({
  required: true,
  content: Object.fromEntries(types.map((type) => [type, { schema: ref(name) }])),
});
const inPath = (name: string): Schema => ({ name, in: "path", required: true, schema: { type: "string" } });
const inQuery = (name: string, schema: Schema): Schema => ({ name, in: "query", schema });

const jsonType = "application/json", formType = "multipart/form-data";
const pictureTypes: Schema = Object.fromEntries(fileFormats.map((format) => [mediaTypes[format], {}]));

/** What can go wrong with any request for a picture. */
const failures: Record<string, string> = {
  400: "A field or body that will not do",
  401: "No key, or an unknown one, where keys are asked for",
  404: "An unknown model, sampler or scheduler",
  408: "A body that does not come",
  409: "A job that was cancelled, or is over",
  410: "Pictures that are no longer kept",
  413: "A body or picture that is too large",
  415: "A body or picture of a kind that is not read",
  422: "A field that will not do, or a key used twice",
  429: "The queue is full: retry-after says when to come back",
  500: "A failure of the server's own",
  503: "The model loads, the server stops, or the GPU is lost or full",
  504: "The deadline has passed",
};

/** The two ways to send a key. */
const securitySchemes = { bearer: { type: "http", scheme: "bearer" }, basic: { type: "http", scheme: "basic" } };

/** The document for the model and the device that there are; `keys` says whether one is asked for. */
export function openApi(context: RequestContext, { keys = false } = {}): Schema {
  return {
    openapi: "3.1.0",
    info: { title: "Stable Diffusion on Deno", version, license: { name: "Apache-2.0", identifier: "Apache-2.0" } },
    paths: paths(context),
    components: { schemas: schemas(context), ...(keys && { securitySchemes }) },
    ...(keys && { security: [{ bearer: [] }, { basic: [] }] }),
  };
}

function paths(context: RequestContext): Record<string, Record<string, Operation>> {
  return { ...nativePaths(context), ...openAiPaths, ...a1111Paths, ...otherPaths };
}

function nativePaths(context: RequestContext): Record<string, Record<string, Operation>> {
  const properties = requestProperties(context);
  const parameters = Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    in: "query",
    required: name === "prompt",
    description,
    schema,
  }));
  const content = Object.fromEntries(
    formats.map((format) => [mediaTypes[format], format === "json" ? json("Answer")[jsonType] : {}]),
  );
  const picture = { ...errors(failures), 200: answered("The picture, in the format asked for", content) };
  const tags = ["Native"], id = [inPath("id")];
  const noJob = errors(failures, "404");
  return {
    "/generate": {
      get: {
        summary: "Makes a picture",
        tags,
        parameters,
        responses: {
          ...picture,
          204: answered("Every event was told already"),
          304: answered("If-None-Match names this very picture"),
        },
      },
      post: {
        summary: "Makes a picture",
        tags,
        requestBody: body("Request", jsonType, formType, "application/x-www-form-urlencoded"),
        responses: { ...picture, 204: answered("Every event was told already") },
      },
    },
    "/v1/jobs": {
      post: {
        summary: "Hands a request in, to be looked after and fetched later",
        tags,
        requestBody: body("Request", jsonType, formType, "application/x-www-form-urlencoded"),
        responses: { ...errors(failures), 202: answered("The job", json("Job")) },
      },
    },
    "/v1/jobs/{id}": {
      get: {
        summary: "Tells of a job",
        tags,
        parameters: id,
        responses: { ...noJob, 200: answered("The job", json("Job")) },
      },
      delete: {
        summary: "Gives a job up",
        tags,
        parameters: id,
        responses: { ...errors(failures, "404", "409"), 202: answered("The job", json("Job")) },
      },
    },
    "/v1/jobs/{id}/events": {
      get: {
        summary: "Tells a job's events as they come; Last-Event-ID takes up where a connection broke",
        tags,
        parameters: id,
        responses: {
          ...errors(failures, "404", "410"),
          200: answered("Events", { "text/event-stream": {} }),
          204: answered("Every event was told already"),
        },
      },
    },
    "/v1/jobs/{id}/image/{index}": {
      get: {
        summary: "Waits for a picture of a job and answers it",
        tags,
        parameters: [...id, inPath("index")],
        responses: { ...errors(failures), 200: answered("The picture", pictureTypes) },
      },
    },
    ...Object.fromEntries(
      ["/health", "/health/live", "/health/ready"].map((path) => [path, {
        get: {
          summary: path === "/health/live" ? "Whether the process answers" : "Whether a picture can be made",
          tags,
          responses: { 200: answered("Yes", json("Health")), 503: answered("Not now", json("Health")) },
        },
      }]),
    ),
    "/v1/capabilities": {
      get: {
        summary: "What a request may ask for, of the model in use or of another",
        tags,
        parameters: [inQuery("model", { type: "string" })],
        responses: { ...errors(failures, "404"), 200: answered("Fields, limits, names", { [jsonType]: {} }) },
      },
    },
    "/metrics": {
      get: { summary: "Prometheus metrics", tags, responses: { 200: answered("Metrics", { "text/plain": {} }) } },
    },
  };
}

const openAiAnswer = {
  ...errors(failures),
  200: answered("Pictures, or events where stream is true", { ...json("OpenAiImages"), "text/event-stream": {} }),
};
const openAiPaths: Record<string, Record<string, Operation>> = {
  "/v1/models": {
    get: { summary: "The models there are", tags: ["OpenAI"], responses: { 200: answered("Models", json("Models")) } },
  },
  "/v1/models/{id}": {
    get: {
      summary: "One model",
      tags: ["OpenAI"],
      parameters: [inPath("id")],
      responses: { ...errors(failures, "404"), 200: answered("The model", json("Model")) },
    },
  },
  "/v1/images/generations": {
    post: {
      summary: "Makes pictures from a prompt",
      tags: ["OpenAI"],
      requestBody: body("OpenAiGeneration", jsonType),
      responses: openAiAnswer,
    },
  },
  "/v1/images/edits": {
    post: {
      summary: "Makes pictures from a picture and a prompt",
      tags: ["OpenAI"],
      requestBody: body("OpenAiEdit", formType),
      responses: openAiAnswer,
    },
  },
  "/v1/images/variations": {
    post: {
      summary: "Makes pictures from a picture",
      tags: ["OpenAI"],
      requestBody: body("OpenAiVariation", formType),
      responses: openAiAnswer,
    },
  },
};

const a1111Answer = { ...plainErrors(), 200: answered("Pictures and how they were made", json("A1111Images")) };
const a1111Paths: Record<string, Record<string, Operation>> = {
  "/sdapi/v1/txt2img": {
    post: {
      summary: "Makes a picture",
      tags: ["A1111"],
      requestBody: body("A1111Txt2img", jsonType),
      responses: a1111Answer,
    },
  },
  "/sdapi/v1/img2img": {
    post: {
      summary: "Makes a picture from a picture",
      tags: ["A1111"],
      requestBody: body("A1111Img2img", jsonType),
      responses: a1111Answer,
    },
  },
  "/sdapi/v1/progress": {
    get: {
      summary: "How far the running job is, or the one named",
      tags: ["A1111"],
      parameters: [inQuery("id", { type: "string" })],
      responses: { 200: answered("Progress", { [jsonType]: {} }) },
    },
  },
  "/sdapi/v1/interrupt": {
    post: {
      summary: "Ends the running job of this surface, or the one named",
      tags: ["A1111"],
      parameters: [inQuery("id", { type: "string" })],
      responses: { 200: answered("Done", { [jsonType]: {} }) },
    },
  },
  "/sdapi/v1/unload-checkpoint": {
    post: {
      summary: "Gives device memory back once the running job is done; the next one brings back what it needs",
      tags: ["A1111"],
      responses: { ...plainErrors(), 200: answered("Done", { [jsonType]: {} }) },
    },
  },
  "/sdapi/v1/reload-checkpoint": {
    post: {
      summary: "Brings the weights of the model in use back to the device",
      tags: ["A1111"],
      responses: { ...plainErrors(), 200: answered("Done", { [jsonType]: {} }) },
    },
  },
};

const otherPaths: Record<string, Record<string, Operation>> = {
  "/hf": {
    post: {
      summary: "Makes a picture",
      tags: ["Hugging Face"],
      requestBody: body("HuggingFace", jsonType),
      responses: { ...plainErrors(), 200: answered("The picture", pictureTypes) },
    },
  },
  "/v2/models/{model}/infer": {
    post: {
      summary: "Makes a picture",
      tags: ["KServe"],
      parameters: [inPath("model")],
      requestBody: body("KServeRequest", jsonType),
      responses: {
        ...plainErrors(),
        200: answered("The output image", { ...json("KServeAnswer"), "application/octet-stream": {} }),
      },
    },
  },
};

/** Errors in the native shape: those of the codes named, or all. */
function errors(all: Record<string, string>, ...codes: string[]): Record<string, Schema> {
  const wanted = Object.entries(all).filter(([code]) => codes.length === 0 || codes.includes(code));
  return Object.fromEntries(wanted.map(([code, description]) => [code, answered(description, json("Error"))]));
}

/** Errors in a shape of the surface's own. */
function plainErrors(): Record<string, Schema> {
  return Object.fromEntries(
    Object.entries(failures).map(([code, description]) => [code, answered(description, { [jsonType]: {} })]),
  );
}
