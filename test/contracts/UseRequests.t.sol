// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {IRequester, IRequests} from "../../contracts/requests/IRequests.sol";
import {RequestsFixture} from "./RequestsFixture.sol";

// prettier-ignore
contract Question is IRequester {
    IRequests private immutable requests;
    bytes32 private asked;
    bytes public answer;

    constructor(IRequests requests_) {
        requests = requests_;
    }

    function ask(address app, bytes calldata question) external payable {
        bytes memory input = bytes.concat(hex"00", question);
        bytes memory place = bytes.concat(hex"00", input);
        uint40 deadline = uint40(block.timestamp + 1 hours);
        asked = requests.request{value: msg.value}(app, keccak256(input), place, deadline, 200_000);
    }

    function onResult(bytes32 id, bytes calldata result) external {
        require(msg.sender == address(requests) && id == asked, "not the result of this question");
        answer = result[1:]; // the first byte says that the result is public
    }

    // after refund(id), anyone calls withdraw with the address of this contract
    receive() external payable {}
}

/// @notice The contract about requests of docs/use-from-contracts.md, which test/docs/use-from-contracts.test.ts compares with this one.
contract UseRequestsTest is RequestsFixture {
    function test_AContractAsksAndGetsItsAnswerOrItsFee() public {
        _work(INSTANCE_KEY, OPERATOR, 1);
        Question question = new Question(requests);
        uint256 number = requests.requestCount() + 1;
        uint40 deadline = uint40(vm.getBlockTimestamp() + 1 hours);
        vm.deal(address(this), 2 * uint256(FEE));
        question.ask{value: FEE}(address(app), "how much?");
        bytes memory input = bytes.concat(hex"00", "how much?");
        bytes32 id = requests.idOf(number, address(question), address(app), keccak256(input), deadline);
        bytes memory result = bytes.concat(hex"00", "forty-two");
        vm.expectRevert("not the result of this question");
        question.onResult(id, result);
        requests.fulfil(id, result, _signResult(INSTANCE_KEY, id, result));
        assertEq(string(question.answer()), "forty-two", "answer");

        id = requests.idOf(number + 1, address(question), address(app), keccak256(input), deadline);
        question.ask{value: FEE}(address(app), "how much?");
        _wait(1 hours + 1);
        requests.refund(id);
        requests.withdraw(address(question));
        assertEq(address(question).balance, FEE, "fee");
    }
}
