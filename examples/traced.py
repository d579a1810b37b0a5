"""A question answered from a small shelf, as one trace: OCTAVO_URL, OCTAVO_API_KEY; `pip install octavo openai`."""

import octavo
from octavo.openai import OpenAI

SHELF = {
    "folio": "A folio is a sheet folded once, giving two leaves.",
    "quarto": "A quarto is a sheet folded twice, giving four leaves.",
    "octavo": "An octavo is a sheet folded three times, giving eight leaves.",
}

client = OpenAI()


@octavo.observe(kind="retriever")
def search(question: str) -> list[str]:
    """The pages that have a word of the question."""
    found = [{"id": word, "content": page, "score": 1.0} for word, page in SHELF.items() if word in question.lower()]
    octavo.current_span().update(documents=found)
    return [str(one["content"]) for one in found]


@octavo.observe(kind="chain")
def answer(question: str) -> str:
    """An answer from those pages."""
    prompt = "\n".join(["Answer in one sentence from these pages.", *search(question), "", question])
    reply = client.chat.completions.create(
        model="gpt-4o", max_tokens=60, messages=[{"role": "user", "content": prompt}]
    )
    said = reply.choices[0].message.content or ""
    octavo.score_current_trace("mentions leaves", "leaves" in said)
    return said


if __name__ == "__main__":
    with octavo.trace_context(session_id="bookshop", user_id="ada", tags=["example"]), octavo.span("ask", kind="agent"):
        print(answer("How many leaves has an octavo?"))
        print(octavo.trace_url())
