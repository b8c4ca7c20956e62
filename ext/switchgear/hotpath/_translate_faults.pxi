# Errors inside a stream: read in any provider's envelope, written in the client's (TRANSLATION §16).

_STATUS_OF_TYPE = {
    "invalid_request_error": 400, "authentication_error": 401, "billing_error": 402, "permission_error": 403,
    "not_found_error": 404, "request_too_large": 413, "rate_limit_error": 429, "api_error": 500, "timeout_error": 504,
    "overloaded_error": 529, "server_error": 500, "insufficient_quota": 429, "conflict_error": 409,
}
_STATUS_OF_CODE = {
    "rate_limit_exceeded": 429, "insufficient_quota": 429, "invalid_api_key": 401, "model_not_found": 404,
    "context_length_exceeded": 400, "server_error": 500, "overloaded": 503, "tool_use_failed": 400,
    "content_filter": 400, "INVALID_ARGUMENT": 400, "UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403, "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429, "INTERNAL": 500, "UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504, "FAILED_PRECONDITION": 400,
}
_ANTHROPIC_TYPE = {
    400: "invalid_request_error", 402: "billing_error", 403: "permission_error", 404: "not_found_error",
    408: "timeout_error", 409: "conflict_error", 413: "request_too_large", 415: "invalid_request_error",
    422: "invalid_request_error", 429: "rate_limit_error", 503: "overloaded_error", 504: "timeout_error",
    529: "overloaded_error",
}
_GOOGLE_STATUS = {
    400: "INVALID_ARGUMENT", 402: "RESOURCE_EXHAUSTED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 408: "DEADLINE_EXCEEDED",
    409: "ABORTED", 413: "INVALID_ARGUMENT", 415: "INVALID_ARGUMENT", 422: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL", 502: "UNAVAILABLE", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED", 529: "UNAVAILABLE",
}
_MESSAGE_LIMIT = 4096  # characters of an upstream's message that go on


class _Overlong(ValueError):
    """More than the bounds of this stream allow."""


cdef class Fault:
    """One error. status: HTTP's for logs and for the client if nothing was sent yet; type, code: OpenAI's words."""
    cdef int status
    cdef str message
    cdef str type
    cdef object code
    cdef object param

    def __init__(self, int status, str message, str type, object code, object param):
        self.status = status
        self.message = message
        self.type = type
        self.code = code
        self.param = param

    cdef dict chat(self):
        return {"message": self.message, "type": self.type, "code": self.code, "param": self.param}

    cdef str anthropic_type(self):
        return _ANTHROPIC_TYPE.get(self.status, "api_error")

    cdef dict gemini(self):
        cdef int code = 503 if self.status == 529 else self.status
        return {"code": code, "message": self.message, "status": _GOOGLE_STATUS.get(self.status, "INTERNAL")}


cdef Fault read_fault(object body):
    """The error in `body`, whatever its envelope. Never fails; a rejected credential is the gateway's own affair."""
    cdef object inner = body.get("error") if type(body) is dict else body
    cdef dict outer = as_dict(body)
    cdef dict e
    cdef int status = 0
    cdef str message = ""
    cdef str type_ = ""
    cdef object code = None
    if type(inner) is str:
        message = <str>inner
        e = {}
    else:
        e = as_dict(inner) or outer
    for candidate in (e.get("message"), outer.get("message"), outer.get("detail"), e.get("error")):
        if not message and type(candidate) is str:
            message = candidate
    type_ = as_str(e.get("type"))
    if type_ == "error" or type_.startswith("response."):
        type_ = ""
    code = e.get("code")
    if code is None:
        code = outer.get("code")
    for number in (e.get("status_code"), outer.get("status_code"), e.get("status"), code):
        if status == 0:
            if type(number) is int and 400 <= number <= 599:
                status = number
            elif type(number) is str:
                if len(number) == 3 and number.isdigit() and 400 <= int(number) <= 599:
                    status = int(number)
                else:
                    status = _STATUS_OF_CODE.get(number, 0)
    if status == 0:
        status = _STATUS_OF_TYPE.get(type_, 500)
    if type(code) is int:
        code = str(code)
    elif type(code) is not str:
        code = None
    if code is None and type(e.get("status")) is str:
        code = e["status"]
    if status == 401 or type_ == "authentication_error":
        return Fault(502, "The upstream refused the gateway's credential.", "server_error", "upstream_authentication_error", None)
    if status == 529 or status == 503:
        code = code or type_ or "overloaded"
        type_ = "server_error"
    elif type_ in ("", "api_error", "timeout_error", "not_found_error", "permission_error", "request_too_large", "billing_error"):
        code = code or type_ or None
        if status == 429:
            type_ = "rate_limit_error"
        elif status == 402:
            type_ = "insufficient_quota"
        elif status == 504 or status == 408:
            type_ = "timeout"
        else:
            type_ = "invalid_request_error" if status < 500 else "server_error"
    param = e.get("param")
    return Fault(
        status, (message or "The upstream reported an error.")[:_MESSAGE_LIMIT], type_, code,
        param if type(param) is str else None,
    )
