"""An LLM as judge, through OpenAI's client: OPENAI_BASE_URL=http://127.0.0.1:4400/v1 OPENAI_API_KEY=sk-oct-…"""

import json

from openai import OpenAI

client = OpenAI()


def judge(question: str, answer: str) -> dict[str, object]:
    """A score from 0 to 1 and a reason."""
    response = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[
            {
                "role": "user",
                "content": 'Return JSON {"score": 0.0-1.0, "reason": "..."}.\n'
                f"Question: {question}\nAnswer: {answer}",
            }
        ],
        response_format={"type": "json_object"},
        temperature=0,
    )
    verdict: dict[str, object] = json.loads(response.choices[0].message.content or "")
    return verdict


if __name__ == "__main__":
    print(judge("What is 2 + 2?", "5"))
